"""Contract of the audit log of a tenant: entries are appended, and neither changed nor deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cqox.security import AuditEntry, AuditEvent
from cqox.storage.pages import Page

__all__ = ["AuditFilter", "AuditStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Selection of entries to list; None for any.

    Attributes:
        subject: who asked.
        object: what it was about.
        action: name of the operation.
        since: earliest time, ISO 8601 in UTC, included.
        until: latest time, ISO 8601 in UTC, excluded.
    """

    subject: str | None = None
    object: str | None = None
    action: str | None = None
    since: str | None = None
    until: str | None = None


class AuditStore(Protocol):
    """The part of a `ResultStore` that holds the audit log of its tenant.

    Any number of engines may append at once: each entry is numbered and chained under a lock of the store. The store
    refuses every other change of an entry, also by other programs, unless they remove its triggers.
    """

    async def append_audit(self, events: Sequence[AuditEvent]) -> int:
        """Append events in their order, except those that are in the log; return the number of entries added.

        Raises:
            ValueError: an event is of another tenant.
        """
        ...

    async def audit(
        self, *, wanted: AuditFilter = AuditFilter(), limit: int = 50, before: int | None = None
    ) -> Page[AuditEntry]:
        """Return entries, newest first.

        Args:
            wanted: which ones.
            limit: maximum number.
            before: only entries with lower numbers.
        """
        ...

    async def audit_after(self, seq: int, *, limit: int) -> Sequence[AuditEntry]:
        """Return the entries after a number, oldest first."""
        ...

    async def audit_head(self) -> AuditEntry | None:
        """Return the last entry; None while there is none."""
        ...
