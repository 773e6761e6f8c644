"""Classification of database errors by the code that the driver or SQLite gives."""

import sqlite3

import psycopg
import psycopg.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience.retry.classification import (
    Kind,
    classify,
    is_database_error,
    is_transient,
)
from tests.resilience.retry.library_errors import named, status


def test_a_locked_sqlite_database_is_transient_and_a_syntax_error_is_not() -> None:
    busy, wrong = sqlite3.OperationalError("database is locked"), sqlite3.OperationalError("near x: syntax error")
    busy.sqlite_errorcode, wrong.sqlite_errorcode = sqlite3.SQLITE_BUSY, sqlite3.SQLITE_ERROR
    assert is_database_error(busy)
    assert not is_database_error(wrong)


def test_the_extended_codes_of_a_busy_sqlite_database_count_as_busy() -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    assert is_database_error(busy)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (psycopg.errors.DeadlockDetected(), "40P01"),
        (named("psycopg2.errors", "DeadlockDetected", pgcode="40P01"), "40P01"),
        (named("asyncpg.exceptions", "SerializationError", sqlstate="40001"), "40001"),
        (named("sqlalchemy.exc", "OperationalError", orig=psycopg.errors.AdminShutdown()), "57P01"),
        (status(503), "503"),
    ],
)
def test_the_code_is_found_whichever_driver_carries_it(error: BaseException, code: str) -> None:
    assert classify(error).code == code
    assert is_transient(error)


def test_a_wrapped_driver_error_without_a_code_is_judged_by_its_own_class() -> None:
    assert is_database_error(named("sqlalchemy.exc", "OperationalError", orig=psycopg.OperationalError("gone")))


def test_an_unknown_code_of_the_connection_class_is_a_connection_error() -> None:
    assert is_database_error(named("driver", "Error", sqlstate="08XYZ"))


@pytest.mark.parametrize("code", ["", "4000", "400001", "40 01", "４００01", None, 40001, b"40001"])
def test_what_is_no_sqlstate_is_not_taken_for_one(code: object) -> None:
    assert classify(named("driver", "Error", sqlstate=code)).kind is Kind.OTHER


@given(st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=5))
def test_any_sqlstate_is_a_database_matter(code: str) -> None:
    assert classify(named("driver", "Error", sqlstate=code)).kind is Kind.DATABASE
