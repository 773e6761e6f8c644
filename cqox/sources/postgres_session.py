"""One transaction on a PostgreSQL server that only reads, for the statements of a worker. Blocking: for threads.

No text of the server or of the driver is in an error: it may repeat the address, and with it the password.
"""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, SourceDown, UnusableData
from cqox.sources.place import Place
from cqox.sources.postgres_connection import (
    CONNECT_SECONDS,
    limit_statements,
    reading_connection,
    server_name,
)

if TYPE_CHECKING:
    import psycopg

__all__ = ["NULL", "PostgresSession"]

NULL = "\x02"
"""A missing value in rows."""

_LEAST_SECONDS = 1.0
_MOST_SECONDS = 24 * 3600.0
_BLOCK_ROWS = 10_000
_MOST_BYTES = 2**29
_TABLES = {"r", "m"}
# Rows of a table from which others inherit are theirs too, and a `ctid` is then of several rows.
_SCHEMA = (
    "with recursive base(type, oid) as (select oid, oid from pg_type where typtype <> 'd' union all "
    "select d.oid, base.oid from pg_type d join base on base.type = d.typbasetype where d.typtype = 'd') "
    "select case when exists (select 1 from pg_inherits i where i.inhparent = c.oid) then 'p' else c.relkind::text end,"
    " a.attname::text, t.typname::text, t.typcategory::text from pg_class c "
    "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
    "join base on base.type = a.atttypid join pg_type t on t.oid = base.oid "
    "where c.oid = to_regclass(%s) order by a.attnum"
)
_KINDS = {
    "int2": "whole", "int4": "whole", "int8": "whole", "date": "day", "timestamp": "moment", "timestamptz": "zoned",
    "float4": "real", "float8": "real", "numeric": "real", "uuid": "word",
}  # fmt: skip
_OF_CATEGORY = {"S": "word", "E": "word", "B": "word"}


class PostgresSession:
    """A connection whose statements all see the rows of one moment.

    Attributes:
        engine: the server and its version.
    """

    def __init__(self, place: Place, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._place = place
        self._connection = connection
        self.engine = server_name(connection)

    @classmethod
    def opened(cls, place: Place) -> Self:
        """Connect, and begin a transaction that only reads.

        Raises:
            SourceDown: there is no server, or it refuses.
        """
        with _translated(place):
            return cls(place, reading_connection(place.address))

    def answer(self, question: Mapping[str, object], *, seconds: float) -> bytes:
        """Answer a question of a worker.

        Args:
            question: `schema`, a table; `sums`, a statement whose values are numbers; or `rows`, one of any values.
            seconds: after which the server ends the statement.

        Returns:
            Of `schema` JSON: the engine, and names and kinds of the columns. Of `sums` doubles: the number of columns,
            then row after row, NaN where a value is null. Of `rows` CSV without names.

        Raises:
            SourceDown: the server fails, ends the statement, or has no such table.
            UnusableData: it cannot compute with some values.
            LimitExceeded: there are too many rows.
        """
        with _translated(self._place):
            limit_statements(self._connection, min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS))
            if "schema" in question:
                return self._schema(str(question["schema"]))
            if "rows" in question:
                return self._rows(str(question["rows"]))
            return self._sums(str(question["sums"]))

    def cancel(self) -> None:
        """End the statement that the server works on; `answer` then raises on its thread. Never raises."""
        import psycopg

        with suppress(psycopg.Error, OSError):
            self._connection.cancel_safe(timeout=CONNECT_SECONDS)

    def close(self) -> None:
        """End the transaction and the connection."""
        self._connection.close()

    def _schema(self, table: str) -> bytes:
        found = self._connection.execute(_SCHEMA, [_quoted(table)]).fetchall()
        if not found:
            raise SourceDown(Message("sources.no-files", source=self._place.name, table=table))
        if found[0][0] not in _TABLES:
            raise SourceDown(Message("sources.no-rows-of-its-own", source=self._place.name, table=table))
        columns = [
            [name, _KINDS.get(str(kind), _OF_CATEGORY.get(str(category), "")), kind]
            for _, name, kind, category in found
        ]
        return json.dumps({"engine": self.engine, "table": _quoted(table), "columns": columns}).encode()

    def _sums(self, statement: str) -> bytes:
        # In binary, numbers keep all digits, and the server takes one statement at a time.
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(statement.encode())
            values = array("d", [float(len(cursor.description or ()))])
            while rows := cursor.fetchmany(_BLOCK_ROWS):
                values.extend(_numbers(rows))
                self._check(8 * len(values))
        return values.tobytes()

    def _rows(self, statement: str) -> bytes:
        # Every value is quoted, so that an empty text is not missing.
        text = f"copy ({statement}) to stdout (format csv, force_quote *, null '{NULL}')".encode()
        self._check_alone(text)
        found = bytearray()
        with self._connection.cursor() as cursor, cursor.copy(text) as copy:
            for block in copy:
                found += block
                self._check(len(found))
        return bytes(found)

    def _check_alone(self, text: bytes) -> None:
        """Refuse several statements, which COPY would run: one could end the transaction that only reads."""
        from psycopg.errors import error_from_result
        from psycopg.pq import ExecStatus

        prepared = self._connection.pgconn.prepare(b"", text)
        if prepared.status != ExecStatus.COMMAND_OK:
            raise error_from_result(prepared)

    def _check(self, size_bytes: int) -> None:
        if size_bytes > _MOST_BYTES:
            raise LimitExceeded(Message("sources.too-large", address=self._place.name, most=_MOST_BYTES))


def _quoted(table: str) -> str:
    """Return a table as PostgreSQL reads it, its schema before the first dot."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split(".", 1))


def _numbers(rows: Sequence[tuple[object, ...]]) -> Iterator[float]:
    for row in rows:
        for value in row:
            yield float("nan") if value is None else float(value)  # type: ignore[arg-type]


@contextmanager
def _translated(place: Place) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.DataError as error:
        # Values are at fault, and not the source: its circuit does not count it.
        code = error.sqlstate or type(error).__name__
        raise UnusableData(Message("sources.out-of-range", source=place.name, code=code), field="mapping") from None
    except psycopg.Error as error:
        reason = " ".join(filter(None, [type(error).__name__, error.sqlstate]))
        # Without the cause: the log would show its text.
        raise SourceDown(Message("sources.down", source=place.name, reason=reason)) from None
