"""Engines that sum where the data are: `Moments` in SQL.

One writer makes the statements of every engine from expressions; a dialect has what they differ in.
"""

from cqox.engines.clickhouse_engine import ClickHouseEngine
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.postgres_engine import DIALECT as POSTGRES
from cqox.engines.postgres_engine import PostgresEngine
from cqox.engines.remote_engine import RemoteEngine
from cqox.engines.spark_engine import SparkEngine, SparkSession
from cqox.engines.sql import Dialect, SourceColumn, statement_of
from cqox.engines.sql_moments import Engine, SqlMoments

__all__ = [
    "POSTGRES",
    "ClickHouseEngine",
    "Dialect",
    "DuckDBEngine",
    "Engine",
    "PostgresEngine",
    "RemoteEngine",
    "SourceColumn",
    "SparkEngine",
    "SparkSession",
    "SqlMoments",
    "statement_of",
]
