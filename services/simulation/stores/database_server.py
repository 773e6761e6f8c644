"""A PostgreSQL server in memory: its tables in SQLite, and sessions with the interface of psycopg.

What one call does between two waits happens at one moment of the simulation: statements of two calls never mix, but a
call may end after any of its statements. Acknowledged commits survive `stop`, as with synchronous commits. There are
no roles, so that row level security is not simulated.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import cast

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import Composable

from cqox.storage import sqlite_schema
from cqox.storage.postgres import schema
from services.simulation.stores.dialect import is_void, is_write, translated, values_of
from services.simulation.stores.server import CallFault, Conditions, Link, SimulatedServer

__all__ = ["DatabaseServer", "connection_lost"]

_TIMES = "SELECT number, applied_at FROM cqox_migrations"
_OWN_COLUMNS = ("ALTER TABLE reports ADD COLUMN document TEXT", "ALTER TABLE reports ADD COLUMN insertion TEXT")
"""Columns that only the PostgreSQL store has."""


def connection_lost() -> psycopg.OperationalError:
    """Return the error of a call whose connection has ended."""
    return psycopg.OperationalError("server closed the connection unexpectedly")


class DatabaseServer(SimulatedServer):
    """A database server with one empty database."""

    def __init__(self, *, rng: Random, now: Callable[[], float], conditions: Conditions | None = None) -> None:
        """See `SimulatedServer`."""
        super().__init__(rng=rng, now=now, conditions=conditions)
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        for name, count, value in (
            ("now", 0, lambda: self.now()),
            ("clock_timestamp", 0, lambda: self.now()),
            ("statement_timestamp", 0, lambda: self.now()),
            ("utc_text", 0, lambda: _utc(self.now()).isoformat(timespec="microseconds")),
            # Nothing to wait for: a call has the server for itself.
            ("pg_advisory_xact_lock", -1, lambda *_: None),
            ("hashtext", 1, lambda _: 0),
        ):
            self._database.create_function(name, count, value)

    def lose(self) -> None:
        """Lose nothing: what is committed is on the disk."""

    def close(self) -> None:
        """Remove the database."""
        self.stop()
        self._database.close()

    def perform[T](
        self,
        link: Link,
        work: Callable[[psycopg.Connection[TupleRow]], T],
        *,
        statements: int | None = None,
        fault: CallFault | None = None,
    ) -> T:
        """Carry out the work of one call, at once.

        Args:
            link: connection of the caller.
            work: the call.
            statements: after how many the connection ends; None for never.
            fault: met by its first statement: `UNDONE`, or by its first write: `DISK`.

        Raises:
            psycopg.Error: as by PostgreSQL; what was not committed is rolled back.
        """
        session = _Session(self._database, self.conditions, statements=statements, fault=fault)
        try:
            return work(cast("psycopg.Connection[TupleRow]", session))
        finally:
            if session.has_ended:
                self.disconnect(link)


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: list[tuple[object, ...]]
    rowcount: int

    def fetchone(self) -> tuple[object, ...] | None:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> list[tuple[object, ...]]:
        return self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Info:
    server_version: int = 160_000


class _Session:
    """One call on a connection in autocommit mode, as psycopg offers it."""

    def __init__(
        self, database: sqlite3.Connection, conditions: Conditions, *, statements: int | None, fault: CallFault | None
    ) -> None:
        self.info = _Info()
        self.has_ended = False
        self._database = database
        self._conditions = conditions
        self._left = statements
        self._fault = fault
        self._depth = 0

    def execute(
        self,
        query: str | Composable,
        values: Sequence[object] | Mapping[str, object] = (),
        *,
        binary: bool = False,
    ) -> _Answer:
        if any(query is step.script for step in schema.MIGRATIONS):
            return self._migrate(first=query is schema.MIGRATIONS[0].script)
        text = query if isinstance(query, str) else query.as_string(None)
        self._begin_statement(text)
        if is_void(text):
            return _Answer([], 0)
        answer = self._executed(translated(text), values_of(text, values))
        if text == _TIMES:
            return _Answer([(number, _utc(cast("float", at))) for number, at in answer.rows], answer.rowcount)
        return answer

    @contextmanager
    def transaction(self) -> Iterator[None]:
        name = f"level_{self._depth}"
        begin, commit, undo = (
            ("BEGIN", "COMMIT", ("ROLLBACK",))
            if self._depth == 0
            else (f"SAVEPOINT {name}", f"RELEASE {name}", (f"ROLLBACK TO {name}", f"RELEASE {name}"))
        )
        self._begin_statement(begin)
        self._database.execute(begin)
        self._depth += 1
        try:
            yield
            self._begin_statement(commit)
            self._database.execute(commit)
        except BaseException:
            for each in undo:
                self._database.execute(each)
            raise
        finally:
            self._depth -= 1

    def _begin_statement(self, text: str) -> None:
        if self._left is not None:
            if self._left == 0:
                self.has_ended = True
                raise connection_lost()
            self._left -= 1
        if self._fault is CallFault.UNDONE:
            self._fault = None
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        if is_write(text):
            if self._fault is CallFault.DISK:
                self._fault = None
                raise psycopg.errors.IoError("could not write to the file: Input/output error")
            # A row that is deleted needs no room, nearly.
            if self._conditions.disk_full and not text.startswith("DELETE"):
                raise psycopg.errors.DiskFull("could not extend the file: No space left on device")

    def _executed(self, statement: str, values: tuple[object, ...] | dict[str, object]) -> _Answer:
        try:
            cursor = self._database.execute(statement, values)
            rows = cursor.fetchall()
        except sqlite3.IntegrityError as error:
            kind = psycopg.errors.UniqueViolation if "UNIQUE" in str(error) else psycopg.errors.CheckViolation
            raise kind(str(error)) from error
        except sqlite3.Error as error:
            raise psycopg.errors.SyntaxError(f"{error} in {statement}") from error
        return _Answer(rows, len(rows) if cursor.description is not None else cursor.rowcount)

    def _migrate(self, *, first: bool) -> _Answer:
        """Create the tables with the first step: those of the last one, in their form for SQLite."""
        self._begin_statement("CREATE")
        if first:
            for _, statements in sqlite_schema.MIGRATIONS:
                for statement in statements:
                    self._database.execute(translated(statement))
            for statement in _OWN_COLUMNS:
                self._database.execute(statement)
        return _Answer([], 0)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
