"""Frames as tables that an engine reads."""

from pathlib import Path

import polars as pl
import psycopg

from cqox.engines import ClickHouseEngine, DuckDBEngine, PostgresEngine, SparkEngine, SqlMoments
from tests.engines.contract import source_columns

_POSTGRES_TYPES = {
    pl.Float64(): "float8",
    pl.Int64(): "bigint",
    pl.Int32(): "int",
    pl.String(): "text",
    pl.Boolean(): "boolean",
    pl.Date(): "date",
}


def stored(frame: pl.DataFrame, path: Path, engine: DuckDBEngine) -> SqlMoments:
    """A frame as a file that the engine reads."""
    frame.write_parquet(path, row_group_size=700)
    return SqlMoments(engine=engine, table=engine.files([path]), columns=source_columns(frame))


def in_postgres(frame: pl.DataFrame, address: str, engine: PostgresEngine, name: str) -> SqlMoments:
    """A frame as a new table of a server, which the engine has not read from yet."""
    types = ", ".join(f'"{column}" {_POSTGRES_TYPES[kind]}' for column, kind in frame.schema.items())
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(f"create table {name} ({types})".encode())
        with cursor.copy(f"copy {name} from stdin (format csv)".encode()) as copy:
            copy.write(frame.write_csv(include_header=False).encode())
    return SqlMoments(engine=engine, table=name, columns=source_columns(frame))


def in_clickhouse(frame: pl.DataFrame, path: Path, engine: ClickHouseEngine) -> SqlMoments:
    """A frame as a file that ClickHouse in this process reads."""
    frame.write_parquet(path, row_group_size=700)
    return SqlMoments(engine=engine, table=f"file('{path}', Parquet)", columns=source_columns(frame))


def in_spark(frame: pl.DataFrame, path: Path, engine: SparkEngine) -> SqlMoments:
    """A frame as a file that Spark on this machine reads."""
    frame.write_parquet(path, row_group_size=700)
    return SqlMoments(engine=engine, table=f"parquet.`{path}`", columns=source_columns(frame))
