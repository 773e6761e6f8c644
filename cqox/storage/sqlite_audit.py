"""The audit log in the SQLite store."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox.security import AuditEntry, AuditEvent, chained
from cqox.storage.audit import AuditFilter
from cqox.storage.pages import Page
from cqox.storage.rows import AUDIT, ENTRY_DIGITS, entry_of, is_text, page_of_entries, row_of
from cqox.storage.sqlite_file import marks
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteAudit"]

_FREEING = ("delete_", "revoke_", "cancel_", "request_erasure", "finish_erasure")
"""Beginnings of the actions that free space, or end something."""

_INSERT = f"INSERT INTO audit (entry_id, {AUDIT}) VALUES ({marks(13)})"
_LAST = f"SELECT {AUDIT} FROM audit WHERE tenant_id = ? ORDER BY seq DESC LIMIT 1"


class SqliteAudit(OfTenant, ABC):
    """The audit log in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def append_audit(self, events: Sequence[AuditEvent]) -> int:
        """Append events in their order, except those that are in the log; return the number of entries added."""
        keys = self._keys
        if any(event.tenant != keys.tenant_id for event in events):
            raise ValueError("an event belongs to the log of its own tenant")

        def append(connection: sqlite3.Connection) -> int:
            # From here on no other connection writes, so that nobody else takes the next number.
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_LAST, (keys.tenant_id,)).fetchone()
            last, count = None if found is None else entry_of(found), 0
            for event in events:
                query = "SELECT 1 FROM audit WHERE tenant_id = ? AND event_id = ?"
                if connection.execute(query, (keys.tenant_id, event.event_id)).fetchone() is None:
                    last = chained(event, last)
                    connection.execute(_INSERT, (keys.stored(f"{last.seq:0{ENTRY_DIGITS}}"), *row_of(last)))
                    count += 1
            return count

        # A deletion is possible on a full disk, and must be recorded there too. Nothing else may use up the reserve.
        essential = any(event.action.startswith(_FREEING) for event in events)
        return await self._write(append, essential=essential)

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
        conditions, values = "tenant_id = ?", list[object]([self._tenant])
        for condition, value in (
            ("subject = ?", wanted.subject),
            ("object = ?", wanted.object),
            ("action = ?", wanted.action),
            ("at >= ?", wanted.since),
            ("at < ?", wanted.until),
            ("seq < ?", before),
        ):
            if value is not None:
                conditions += f" AND {condition}"
                values.append(value)
        query = f"SELECT {AUDIT} FROM audit WHERE {conditions} ORDER BY seq DESC LIMIT ?"
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1)).fetchall())
        return page_of_entries(rows, limit)

    async def audit_after(self, seq: int, *, limit: int) -> Sequence[AuditEntry]:
        """Return the entries after a number, oldest first."""
        query = f"SELECT {AUDIT} FROM audit WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        values = (self._tenant, seq, limit)
        return [entry_of(row) for row in await self._call(lambda c: c.execute(query, values).fetchall())]

    async def audit_head(self) -> AuditEntry | None:
        """Return the last entry; None while there is none."""
        identity = (self._tenant,)
        row = await self._call(lambda c: c.execute(_LAST, identity).fetchone())
        return None if row is None else entry_of(row)
