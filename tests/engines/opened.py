"""Engines as the suites open them, and frames as tables of each.

`chdb` and `pyspark` are imported where they are used: the suites that leave them out can collect all tests.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cqox.engines import ClickHouseEngine, DuckDBEngine, PostgresEngine, SparkEngine, SqlMoments
from tests.engines.stored import in_clickhouse, in_postgres, in_spark, stored
from tests.servers import Postgres, running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

type Store = Callable[[pl.DataFrame], SqlMoments]
"""A frame as a table of an engine."""

_SPARK = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


@contextmanager
def duckdb(folder: Path) -> Iterator[DuckDBEngine]:
    """DuckDB with 256 MiB, which reads files below a folder."""
    engine = DuckDBEngine.opened(memory_bytes=2**28, threads=2, spill=folder / "spill", folders=[folder])
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def postgres(server: Postgres) -> Iterator[Callable[[], PostgresEngine]]:
    """New engines of a server: all that one reads is of one moment."""
    with ExitStack() as engines:

        def make(statement_seconds: float = 60.0) -> PostgresEngine:
            engine = PostgresEngine.opened(server.url, statement_seconds=statement_seconds)
            engines.callback(engine.close)
            return engine

        yield make


@contextmanager
def clickhouse() -> Iterator[ClickHouseEngine]:
    """ClickHouse in this process."""
    from chdb.session import Session

    session = Session()
    try:
        yield ClickHouseEngine.opened(lambda statement: session.query(statement).bytes())
    finally:
        session.close()


@contextmanager
def spark() -> "Iterator[SparkSession]":
    """Spark on this machine, with two threads."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config(map=_SPARK).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    try:
        yield session
    finally:
        session.stop()


def _files(folder: Path) -> Iterator[Path]:
    return (folder / f"rows-{number}.parquet" for number in count())


@contextmanager
def _duckdb_tables(folder: Path) -> Iterator[Store]:
    files = _files(folder)
    with duckdb(folder) as engine:
        yield lambda frame: stored(frame, next(files), engine)


@contextmanager
def _postgres_tables(folder: Path) -> Iterator[Store]:
    numbers = count()
    with running(Postgres()) as server, postgres(server) as engine:
        yield lambda frame: in_postgres(frame, server.url, engine(), f"stored_{next(numbers)}")


@contextmanager
def _clickhouse_tables(folder: Path) -> Iterator[Store]:
    files = _files(folder)
    with clickhouse() as engine:
        yield lambda frame: in_clickhouse(frame, next(files), engine)


@contextmanager
def _spark_tables(folder: Path) -> Iterator[Store]:
    files = _files(folder)
    with spark() as session:
        engine = SparkEngine.of(session)
        yield lambda frame: in_spark(frame, next(files), engine)


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "DuckDB": _duckdb_tables,
    "PostgreSQL": _postgres_tables,
    "ClickHouse": _clickhouse_tables,
    "Spark": _spark_tables,
}
"""Engines by name; each gets an empty folder of its own for its tables."""
