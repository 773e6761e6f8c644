"""Addresses and what they name."""

from pathlib import Path

import pytest

from cqox.errors import InvalidRequest
from cqox.sources import Query, kind_of, parse, sql
from cqox.sources.address import path_of, shown


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("table.csv", "file"), (Path("table.csv"), "file"), ("file:///tmp/a.csv", "file"), ("c:\\\\a.csv", "file"),
        ("https://example.com/a.csv?x=1", "url"), ("S3://bucket/key", "objects"), ("gs://b/k", "objects"),
        ("abfss://c@a/k", "objects"), ("postgres://h/d", "postgresql"), ("sqlite:///a.db", "sqlite"),
        ("duckdb://", "duckdb"),
    ],
)  # fmt: skip
def test_the_scheme_says_what_an_address_names(address: str, kind: str) -> None:
    assert kind_of(address) == kind


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="ftp://") as caught:
        kind_of("ftp://example.com/a.csv")
    assert "s3://" in (caught.value.choices or ())


def test_a_database_needs_a_query() -> None:
    with pytest.raises(InvalidRequest, match=r"cqox\.sql") as caught:
        parse("postgresql://me:secret@host/shop")
    assert "secret" not in str(caught.value)
    query = sql(" SELECT 1 ; ", "sqlite:///a.db")
    assert (query.text, parse(query)) == ("SELECT 1", query)
    with pytest.raises(InvalidRequest, match="no address of a database"):
        sql("SELECT 1", "https://example.com")
    with pytest.raises(InvalidRequest, match="empty"):
        sql(" ; ", "sqlite:///a.db")


def test_what_is_no_source_is_none() -> None:
    assert parse({"a": [1]}) is None
    assert parse(5) is None
    assert parse(b"a.csv") == "a.csv"


@pytest.mark.parametrize("path", ["", b""])
def test_an_empty_path_is_not_the_current_folder(path: str | bytes) -> None:
    with pytest.raises(InvalidRequest, match="path is empty"):
        parse(path)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Query(text="SELECT 1", address="postgresql://me:secret@host/shop"))
    assert shown("postgresql://me:secret@host/shop?password=secret&x=1") == "postgresql://host/shop?password=…&x=1"
    assert shown("https://host/a?X-Amz-Signature=abc&y=2") == "https://host/a?X-Amz-Signature=…&y=2"


@pytest.mark.parametrize(
    "user",
    ["me:p@ss@", "p@ss@", "me:p/ss@", "me:p/s@s@", "me:p#ss@", "me:p?ss@", "me@corp:p@ss@", "me:@ss@", "me:ss@"],
)
def test_no_part_of_a_password_is_shown(user: str) -> None:
    assert shown(f"http://{user}host/a.csv") == "http://host/a.csv"
    assert shown(f"failed for https://{user}host/ twice") == "failed for https://host/ twice"


@pytest.mark.parametrize(
    "address",
    [
        "https://host/@scope/a.csv", "https://host:8080/a@b.csv", "http://[::1]:80/a@b", "s3://bucket/a@b.csv",
        "postgresql://h:5432,i:5432/d@e",
    ],
)  # fmt: skip
def test_other_signs_of_an_address_stay(address: str) -> None:
    assert shown(address) == address


def test_paths_of_addresses() -> None:
    assert path_of("file:///tmp/a.csv") == Path("/tmp/a.csv")
    assert path_of("a.csv") == Path("a.csv")
