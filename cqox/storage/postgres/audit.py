"""The audit log in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.security import AuditEntry, AuditEvent, chained
from cqox.storage.audit import AuditFilter
from cqox.storage.pages import Page
from cqox.storage.rows import AUDIT, ENTRY_DIGITS, entry_of, is_text, page_of_entries, row_of
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresAudit"]

type _Connection = psycopg.Connection[TupleRow]

_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
_LOCK_CLASS = int.from_bytes(b"audt", signed=True)
_MARKS: LiteralString = f"({', '.join(['%s'] * 13)})"
_AT_ONCE = 1_000
"""Entries of one statement, which takes at most 65,535 parameters."""

_LAST: LiteralString = f"SELECT {AUDIT} FROM audit WHERE tenant_id = %s ORDER BY seq DESC LIMIT 1"
_KNOWN: LiteralString = "SELECT event_id FROM audit WHERE tenant_id = %s AND event_id = ANY(%s)"


class PostgresAudit(OfTenant, ABC):
    """The audit log in the PostgreSQL store. A retried call adds nothing twice."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def append_audit(self, events: Sequence[AuditEvent]) -> int:
        """Append events in their order, except those that are in the log; return the number of entries added."""
        keys, before = self._keys, list[frozenset[str]]()
        if any(event.tenant != keys.tenant_id for event in events):
            raise ValueError("an event belongs to the log of its own tenant")
        names = [event.event_id for event in events]

        def append(connection: _Connection) -> int:
            with connection.transaction():
                # Held until the commit, so that nobody else takes the next number; it works through poolers as well.
                connection.execute(_LOCK, (_LOCK_CLASS, keys.tenant_id))
                found = connection.execute(_LAST, (keys.tenant_id,)).fetchone()
                last = None if found is None else entry_of(found)
                known = {str(row[0]) for row in connection.execute(_KNOWN, (keys.tenant_id, names)).fetchall()}
                before.append(frozenset(known))
                rows = list[tuple[object, ...]]()
                for event in events:
                    if event.event_id not in known:
                        known.add(event.event_id)
                        last = chained(event, last)
                        rows.append((keys.stored(f"{last.seq:0{ENTRY_DIGITS}}"), *row_of(last)))
                for first in range(0, len(rows), _AT_ONCE):
                    _insert(connection, rows[first : first + _AT_ONCE])
            # An attempt whose answer was lost has added them before this one.
            return len(known - before[0])

        return await self._call(append)

    async def audit(
        self,
        *,
        wanted: AuditFilter = AuditFilter(),  # noqa: B008 - frozen
        limit: int = 50,
        before: int | None = None,
    ) -> Page[AuditEntry]:
        """Return entries, newest first."""
        if not is_text(wanted.subject, wanted.object, wanted.action, wanted.since, wanted.until):
            return Page(items=[], next=None)
        conditions: LiteralString = "tenant_id = %s"
        values = list[object]([self._tenant])
        pairs: tuple[tuple[LiteralString, str | int | None], ...] = (
            ("subject = %s", wanted.subject),
            ("object = %s", wanted.object),
            ("action = %s", wanted.action),
            ("at >= %s", wanted.since),
            ("at < %s", wanted.until),
            ("seq < %s", before),
        )
        for condition, value in pairs:
            if value is not None:
                conditions += f" AND {condition}"
                values.append(value)
        query: LiteralString = f"SELECT {AUDIT} FROM audit WHERE {conditions} ORDER BY seq DESC LIMIT %s"
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1)).fetchall())
        return page_of_entries(rows, limit)

    async def audit_after(self, seq: int, *, limit: int) -> Sequence[AuditEntry]:
        """Return the entries after a number, oldest first."""
        query: LiteralString = f"SELECT {AUDIT} FROM audit WHERE tenant_id = %s AND seq > %s ORDER BY seq LIMIT %s"
        values = (self._tenant, seq, limit)
        return [entry_of(row) for row in await self._call(lambda c: c.execute(query, values).fetchall())]

    async def audit_head(self) -> AuditEntry | None:
        """Return the last entry; None while there is none."""
        identity = (self._tenant,)
        row = await self._call(lambda c: c.execute(_LAST, identity).fetchone())
        return None if row is None else entry_of(row)


def _insert(connection: _Connection, rows: Sequence[tuple[object, ...]]) -> None:
    # With one statement for each row a batch would wait for so many answers that a slow server never takes it.
    marks: LiteralString = ", ".join([_MARKS] * len(rows))
    statement: LiteralString = f"INSERT INTO audit (entry_id, {AUDIT}) VALUES {marks}"
    connection.execute(statement, [value for row in rows for value in row])
