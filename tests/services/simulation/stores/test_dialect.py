"""Translation of statements; that the translated ones do the same is in the suites of the contract."""

import psycopg
import pytest

from services.simulation.stores.dialect import is_void, is_write, translated, values_of


@pytest.mark.parametrize(
    ("postgres", "sqlite"),
    [
        ("SELECT a FROM t WHERE a = %s AND b = %(name)s", "SELECT a FROM t WHERE a = ? AND b = :name"),
        ("DELETE FROM t WHERE a = ANY(%s)", "DELETE FROM t WHERE a IN (SELECT value FROM json_each(?))"),
        (
            "UPDATE t SET u = clock_timestamp() + make_interval(secs => %s)",
            "UPDATE t SET u = clock_timestamp() + ?",
        ),
        ("INSERT INTO t VALUES (%s::jsonb, ''::bytea)", "INSERT INTO t VALUES (?, x'')"),
        ("SELECT a FROM t ORDER BY a DESC OFFSET %s", "SELECT a FROM t ORDER BY a DESC LIMIT -1 OFFSET ?"),
        ("SELECT a FROM t WHERE a = 1 FOR KEY SHARE", "SELECT a FROM t WHERE a = 1"),
    ],
)
def test_a_statement_is_translated(postgres: str, sqlite: str) -> None:
    assert translated(postgres) == sqlite


def test_a_list_becomes_one_value() -> None:
    assert values_of("a = ANY(%s) AND b = %s", (["x", "y"], 1)) == ('["x", "y"]', 1)
    assert values_of("a = ANY(%(a)s)", {"a": ["x"]}) == {"a": '["x"]'}


@pytest.mark.parametrize("document", ['"\\u0000"', "no JSON", "NaN"])
def test_what_postgresql_cannot_store_is_refused(document: str) -> None:
    with pytest.raises(psycopg.DataError):
        values_of("INSERT INTO t VALUES (%s, %s::jsonb)", (1, document))
    assert values_of("INSERT INTO t VALUES (%s, %s)", (1, document)) == (1, document)


def test_text_with_a_nul_is_refused() -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        values_of("SELECT %s", ("a\0",))


def test_statements_that_need_the_disk_are_known() -> None:
    assert is_write("/* every tenant */ UPDATE jobs SET owner = %s")
    assert is_write(" INSERT INTO t VALUES (1)")
    assert not is_write("SELECT 1")


def test_row_level_security_has_nothing_to_do() -> None:
    assert is_void("\n    ALTER TABLE t ENABLE ROW LEVEL SECURITY;")
    assert not is_void("ALTER TABLE t ADD COLUMN a text")
