"""Calls of `cqox.Client` on what a server keeps with reports and data sets, and on erasures and the audit log."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from cqox.api.portal import Portal
from cqox.client import oversight, stored
from cqox.client.connection import Connection
from cqox.client.portal_calls import started
from cqox.contract import (
    AnnotationDescription,
    AuditEntryDescription,
    AuditListing,
    DatasetDescription,
    DatasetLooks,
    ErasureDescription,
    FileSheets,
    NewShareDescription,
    ShareListing,
)

__all__ = ["StoredCalls"]


class StoredCalls:
    """Calls about notes, share links, looks, original files, erasures and the audit log."""

    _portal: Portal[Connection]

    def annotation(self, analysis_id: str) -> AnnotationDescription:
        """Return title and notes of a stored report."""
        return started(self._portal, lambda connection, _: stored.annotation(connection, analysis_id)).wait()

    def annotate(
        self, analysis_id: str, *, title: str | None = None, notes: str | None = None
    ) -> AnnotationDescription:
        """Change title and notes of a stored report, which are no part of it.

        Args:
            analysis_id: the report.
            title: one line; unchanged if None, removed if empty.
            notes: text; unchanged if None, removed if empty.
        """
        return started(
            self._portal, lambda connection, _: stored.annotate(connection, analysis_id, title=title, notes=notes)
        ).wait()

    def share(self, analysis_id: str, *, days: float | None = None) -> NewShareDescription:
        """Create a link by which anybody can read a report, where the operator allows it; keep its `path`, shown once.

        Args:
            analysis_id: the report.
            days: until the link expires; as many as the operator allows by default.
        """
        return started(self._portal, lambda connection, _: stored.share(connection, analysis_id, days=days)).wait()

    def shares(self, analysis_id: str) -> ShareListing:
        """Return the share links of a report, without their tokens."""
        return started(self._portal, lambda connection, _: stored.shares(connection, analysis_id)).wait()

    def withdraw_share(self, analysis_id: str, share_id: str) -> None:
        """Withdraw a share link."""
        started(self._portal, lambda connection, _: stored.withdraw_share(connection, analysis_id, share_id)).wait()

    def looks(self, dataset_id: str) -> DatasetLooks:
        """Return the number of stored analyses of a data set, for each question."""
        return started(self._portal, lambda connection, _: stored.looks(connection, dataset_id)).wait()

    def sheets(self, dataset_id: str) -> FileSheets:
        """Return the sheets of the file that was uploaded, with their first rows."""
        return started(self._portal, lambda connection, _: stored.sheets(connection, dataset_id)).wait()

    def read_again(self, dataset_id: str, read: Mapping[str, object]) -> DatasetDescription:
        """Read the file that was uploaded with other options, such as `{"header_row": 4}`, without sending it again."""
        return started(self._portal, lambda connection, _: stored.read_again(connection, dataset_id, read)).wait()

    def erase_dataset(self, dataset_id: str, *, wait: bool = True, timeout: float | None = None) -> ErasureDescription:
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
        return started(
            self._portal,
            lambda connection, _: oversight.erase_dataset(connection, dataset_id, wait=wait, timeout=timeout),
        ).wait()

    def erasure(self, erasure_id: str) -> ErasureDescription:
        """Return how far an erasure has come, and its receipt once it is finished."""
        return started(self._portal, lambda connection, _: oversight.erasure(connection, erasure_id)).wait()

    def audit(
        self,
        *,
        subject: str | None = None,
        about: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditEntryDescription]:
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

    def _entries(self, query: oversight.AuditQuery) -> Iterator[AuditEntryDescription]:
        before: str | None = None
        while True:
            page = self._audit_page(query, before)
            yield from page.entries
            before = page.next
            if before is None:
                return

    def _audit_page(self, query: oversight.AuditQuery, before: str | None) -> AuditListing:
        return started(
            self._portal, lambda connection, _: oversight.audit_page(connection, query, before=before)
        ).wait()
