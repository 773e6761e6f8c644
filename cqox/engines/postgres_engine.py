"""PostgreSQL: the statements go to the server that has the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from cqox.engines.sql import Dialect
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Matrix, Vector
from cqox.sources import CONNECT_SECONDS, reading_connection, server_name

if TYPE_CHECKING:
    import psycopg

    type Connection = psycopg.Connection[tuple[object, ...]]

__all__ = ["DIALECT", "PostgresEngine"]

_BLOCK_ROWS = 10_000

DIALECT = Dialect(
    number=lambda value: f"'{float(value)!r}'::float8",
    # Whatever `standard_conforming_strings` says.
    word=lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'",
    double="cast({} as float8)".format,
    truth="cast(cast({} as int) as float8)".format,
    # The times `infinity` and `-infinity` have no days: they are missing.
    days="(case when isfinite({0}::timestamp) then extract(epoch from {0}::timestamp)::float8 / 86400 end)".format,
    date_number="({}::date - date '1970-01-01')::bigint".format,
    moment_number="(extract(epoch from {}::timestamp) * 1000000)::bigint".format,
    without_nan="nullif({}, 'NaN'::float8)".format,
    # The digest is of UTF-8 in a database of another encoding too.
    word_key="('x' || substr(md5(convert_to({}, 'UTF8')), 1, 15))::bit(60)::bigint".format,
    farthest=150.0,
    # A row of an answer, or of a nested `select`, has at most 1,664 columns.
    most_values=1_200,
    apart=" offset 0",
)


@dataclass(frozen=True, slots=True)
class PostgresEngine:
    """A connection in one transaction that only reads: all passes see the same rows.

    Attributes:
        connection: of this engine alone.
        name: the engine and its version.
    """

    connection: "Connection"
    name: str
    dialect: Dialect = DIALECT

    @classmethod
    def opened(cls, address: str, *, statement_seconds: float) -> Self:
        """Connect to a server.

        Args:
            address: a URL or a connection string of libpq.
            statement_seconds: after which the server ends a statement.

        Raises:
            ModuleNotFoundError: psycopg is not installed.
            psycopg.OperationalError: there is no server, or it refuses.
        """
        connection = reading_connection(address, statement_seconds=statement_seconds)
        return cls(connection=connection, name=server_name(connection))

    def cancel(self) -> None:
        """End the statement that the server works on; `read` raises `psycopg.errors.QueryCanceled` on its thread."""
        self.connection.cancel_safe(timeout=CONNECT_SECONDS)

    def close(self) -> None:
        """End the transaction and the connection."""
        self.connection.close()

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null."""
        checkpoint()
        # In binary, numbers keep all digits, and the server takes one statement at a time.
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(statement.encode())
            blocks: list[Matrix] = [np.empty((0, len(cursor.description or ())))]
            while rows := cursor.fetchmany(_BLOCK_ROWS):
                blocks.append(_doubles(rows))
        return list(np.concatenate(blocks).T)


def _doubles(rows: Sequence[tuple[object, ...]]) -> Matrix:
    return np.array(rows, dtype=np.float64)
