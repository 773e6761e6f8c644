"""Calls of `cqox.AsyncClient` on what a server keeps with reports and data sets, and on erasures and the audit log."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime

from cqox.client import oversight, stored
from cqox.client.connection import Connection
from cqox.contract import (
    AnnotationDescription,
    AuditEntryDescription,
    DatasetDescription,
    DatasetLooks,
    ErasureDescription,
    FileSheets,
    NewShareDescription,
    ShareListing,
)

__all__ = ["AsyncStoredCalls"]


class AsyncStoredCalls:
    """Calls about notes, share links, looks, original files, erasures and the audit log."""

    _connection: Connection

    async def annotation(self, analysis_id: str) -> AnnotationDescription:
        """Return title and notes of a stored report."""
        return await stored.annotation(self._connection, analysis_id)

    async def annotate(
        self, analysis_id: str, *, title: str | None = None, notes: str | None = None
    ) -> AnnotationDescription:
        """Change title and notes of a stored report, which are no part of it.

        Args:
            analysis_id: the report.
            title: one line; unchanged if None, removed if empty.
            notes: text; unchanged if None, removed if empty.
        """
        return await stored.annotate(self._connection, analysis_id, title=title, notes=notes)

    async def share(self, analysis_id: str, *, days: float | None = None) -> NewShareDescription:
        """Create a link by which anybody can read a report, where the operator allows it; keep its `path`, shown once.

        Args:
            analysis_id: the report.
            days: until the link expires; as many as the operator allows by default.
        """
        return await stored.share(self._connection, analysis_id, days=days)

    async def shares(self, analysis_id: str) -> ShareListing:
        """Return the share links of a report, without their tokens."""
        return await stored.shares(self._connection, analysis_id)

    async def withdraw_share(self, analysis_id: str, share_id: str) -> None:
        """Withdraw a share link."""
        await stored.withdraw_share(self._connection, analysis_id, share_id)

    async def looks(self, dataset_id: str) -> DatasetLooks:
        """Return the number of stored analyses of a data set, for each question."""
        return await stored.looks(self._connection, dataset_id)

    async def sheets(self, dataset_id: str) -> FileSheets:
        """Return the sheets of the file that was uploaded, with their first rows."""
        return await stored.sheets(self._connection, dataset_id)

    async def read_again(self, dataset_id: str, read: Mapping[str, object]) -> DatasetDescription:
        """Read the file that was uploaded with other options, such as `{"header_row": 4}`, without sending it again."""
        return await stored.read_again(self._connection, dataset_id, read)

    async def erase_dataset(
        self, dataset_id: str, *, wait: bool = True, timeout: float | None = None
    ) -> ErasureDescription:
        """Erase a data set for good, with everything that was made from it, and return the receipt.

        Unlike `delete_dataset` this also removes its original, notes, share links, jobs and copies in caches, and
        cancels what runs on it. It goes on if this client ends. It needs the permissions of a steward.

        Args:
            dataset_id: the data set.
            wait: whether to wait until everything is deleted; else `status` may be `running`, see `erasure`.
            timeout: seconds to wait; as long as it takes by default.

        Raises:
            DeadlineExceeded: it goes on; a note of the error has its id.
        """
        return await oversight.erase_dataset(self._connection, dataset_id, wait=wait, timeout=timeout)

    async def erasure(self, erasure_id: str) -> ErasureDescription:
        """Return how far an erasure has come, and its receipt once it is finished."""
        return await oversight.erasure(self._connection, erasure_id)

    def audit(
        self,
        *,
        subject: str | None = None,
        about: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncGenerator[AuditEntryDescription]:
        """Yield the entries of the audit log, newest first, page by page as they are asked for.

        It needs the permission of an auditor; reading the log is recorded too. Times have a zone.

        Args:
            subject: only what this subject asked for, as `/api/me` names it.
            about: only what was about this object, such as `dataset:test`.
            action: only this operation, such as `delete_dataset`.
            since: the earliest time.
            until: the latest time, excluded.

        Raises:
            InvalidRequest: a time has no zone.
        """
        query = oversight.audit_query(subject=subject, about=about, action=action, since=since, until=until)
        return self._entries(query)

    async def _entries(self, query: oversight.AuditQuery) -> AsyncGenerator[AuditEntryDescription]:
        before: str | None = None
        while True:
            page = await oversight.audit_page(self._connection, query, before=before)
            for each in page.entries:
                yield each
            before = page.next
            if before is None:
                return
