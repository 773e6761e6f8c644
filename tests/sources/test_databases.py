"""Results of queries, from real databases."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import pytest

from cqox.datasets import Limits, ReadOptions, read_table
from cqox.errors import InvalidRequest, LimitExceeded, SourceUnavailable
from cqox.sources import sql
from cqox.sources.databases import write_query
from tests.servers import Postgres, running

ROWS = [(1.5, "a,b", 1), (2.5, None, 2), (4.0, '施"策', 3)]
SELECT = "SELECT y, arm, n FROM sales ORDER BY n"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running(Postgres()) as server:
        server.execute("CREATE TABLE sales (y double precision, arm text, n int)")
        for row in ROWS:
            server.execute("INSERT INTO sales VALUES (%s, %s, %s)", *row)
        yield server.url


@pytest.fixture
def lite(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "a b.db")) as database, database:
        database.execute("CREATE TABLE sales (y REAL, arm TEXT, n INTEGER)")
        database.executemany("INSERT INTO sales VALUES (?, ?, ?)", ROWS)
    return f"sqlite://{tmp_path}/a%20b.db"


@pytest.fixture
def duck(tmp_path: Path) -> str:
    with duckdb.connect(str(tmp_path / "duck.db")) as database:
        database.execute("CREATE TABLE sales (y DOUBLE, arm VARCHAR, n INTEGER)")
        database.executemany("INSERT INTO sales VALUES (?, ?, ?)", ROWS)
    return f"duckdb://{tmp_path}/duck.db"


@pytest.fixture(
    params=["lite", "duck", pytest.param("postgres", marks=pytest.mark.xdist_group("servers"))]
)  # fmt: skip
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def read(query: str, address: str, target: Path) -> pl.DataFrame:
    write_query(sql(query, address), target, max_bytes=1_000_000)
    return read_table(target, name="query", limits=Limits(), options=ReadOptions()).frame


def test_the_rows_are_those_of_the_table(address: str, tmp_path: Path) -> None:
    frame = read(SELECT, address, tmp_path / "one")
    assert frame.columns == ["y", "arm", "n"]
    assert frame["y"].to_list() == [1.5, 2.5, 4.0]
    assert frame["arm"].to_list() == ["a,b", None, '施"策']
    common = "WITH few AS (SELECT n FROM sales WHERE n > 1) SELECT n, n AS m FROM few ORDER BY n;"
    assert read(common, address, tmp_path / "two")["m"].to_list() == [2, 3]


def test_nothing_can_be_written(address: str, tmp_path: Path) -> None:
    for number, query in enumerate(("DELETE FROM sales", "SELECT 1; DELETE FROM sales", "DROP TABLE sales")):
        with pytest.raises(InvalidRequest):
            read(query, address, tmp_path / f"written-{number}")
    assert read(SELECT, address, tmp_path / "all").height == len(ROWS)


def test_what_the_database_refuses_is_said(address: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="nowhere"):
        read("SELECT * FROM nowhere", address, tmp_path / "none")
    with pytest.raises(InvalidRequest, match="Two columns of the result have the name 'n'"):
        read("SELECT n, n FROM sales", address, tmp_path / "twice")
    with pytest.raises(LimitExceeded):
        write_query(sql(SELECT, address), tmp_path / "large", max_bytes=10)


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    for number, address in enumerate(
        (f"sqlite://{tmp_path}/none.db", f"duckdb://{tmp_path}/none.db", "postgresql://me:secret@127.0.0.1:1/shop")
    ):
        with pytest.raises((SourceUnavailable, InvalidRequest)) as caught:
            read("SELECT 1 AS a", address, tmp_path / str(number))
        assert "secret" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()


def test_duckdb_in_memory_reads_files(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(tmp_path / "a.parquet")
    frame = read(f"SELECT a * 2 AS b FROM '{tmp_path}/a.parquet'", "duckdb://", tmp_path / "out")
    assert frame["b"].to_list() == [2, 4, 6]
