"""Annotations and summaries of reports in the SQLite store."""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox.storage.history import Annotation, Looks, ReportSummary
from cqox.storage.pages import Page
from cqox.storage.rows import ANNOTATION, NOTES_CHARACTERS, annotation_of, is_text, page_of_summaries, position
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteHistory"]

_SUMMARY = (
    'reports.analysis_id, reports.dataset_id, reports.created_at, status, verdict, "primary", estimate, '
    f"outcome, treatment, headline, datasets.name, title, substr(notes, 1, {NOTES_CHARACTERS + 1})"
)
_FIRST = (
    "INSERT INTO annotations (tenant_id, analysis_id, dataset_id, title, notes, updated_at, version, searched) "
    "SELECT tenant_id, analysis_id, dataset_id, :title, :notes, :updated_at, :version, :searched FROM reports "
    "WHERE tenant_id = :tenant_id AND analysis_id = :analysis_id ON CONFLICT DO NOTHING"
)
_NEXT = (
    "UPDATE annotations SET title = :title, notes = :notes, updated_at = :updated_at, version = :version, "
    "searched = :searched WHERE tenant_id = :tenant_id AND analysis_id = :analysis_id AND version = :replaces "
    "AND EXISTS (SELECT 1 FROM reports WHERE reports.tenant_id = :tenant_id AND reports.analysis_id = :analysis_id)"
)
_IS_STORED = (
    "SELECT 1 FROM annotations JOIN reports USING (tenant_id, analysis_id) "
    "WHERE tenant_id = :tenant_id AND analysis_id = :analysis_id AND version = :version"
)

_LOOKS = (
    "SELECT outcome, treatment, count(*) FROM reports WHERE tenant_id = ? AND dataset_id = ? "
    "GROUP BY outcome, treatment"
)


class SqliteHistory(OfTenant, ABC):
    """Annotations and summaries of reports in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def annotation(self, analysis_id: str) -> Annotation | None:
        """Return the annotation of this report, or None."""
        if not is_text(analysis_id):
            return None
        query = f"SELECT {ANNOTATION} FROM annotations WHERE tenant_id = ? AND analysis_id = ?"
        values = (self._tenant, self._keys.stored(analysis_id))
        row = await self._call(lambda c: c.execute(query, values).fetchone())
        return None if row is None else annotation_of(row, self._keys)

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """Insert or replace the annotation of a stored report; return whether this call did."""
        if not is_text(annotation.analysis_id):
            return False
        stored = self._keys.stored_record(annotation)
        values = {name: getattr(stored, name) for name in Annotation.__dataclass_fields__}
        values |= {"tenant_id": self._tenant, "replaces": replaces}

        def write(connection: sqlite3.Connection) -> bool:
            statement = _FIRST if replaces is None else _NEXT
            if connection.execute(statement, values).rowcount == 1:
                return True
            # As in the PostgreSQL store, where a retried call may find its own version.
            return connection.execute(_IS_STORED, values).fetchone() is not None

        return await self._write(write)

    async def forget_history(self, dataset_id: str) -> None:
        """Delete annotations and share links of all reports on a data set, also of reports that a damage has lost."""

        values = (self._tenant, self._keys.stored(dataset_id))

        def forget(connection: sqlite3.Connection) -> None:
            for table in ("annotations", "shares"):
                connection.execute(f"DELETE FROM {table} WHERE tenant_id = ? AND dataset_id = ?", values)

        if is_text(dataset_id):
            await self._write(forget, essential=True)

    async def summaries(
        self,
        *,
        dataset_id: str | None = None,
        search: str | None = None,
        named: Sequence[str] = (),
        limit: int = 50,
        before: str | None = None,
    ) -> Page[ReportSummary]:
        """Return reports with their annotations, newest first."""
        if not is_text(dataset_id, search, before):
            return Page(items=[], next=None)
        keys, conditions, values = self._keys, "reports.tenant_id = ?", list[str | int]([self._tenant])
        if dataset_id is not None:
            conditions += " AND reports.dataset_id = ?"
            values.append(keys.stored(dataset_id))
        if search is not None:
            conditions += " AND (instr(searched, ?) > 0 OR reports.dataset_id IN (SELECT value FROM json_each(?)))"
            values += [search, json.dumps([keys.stored(each) for each in named])]
        if before is not None:
            conditions += " AND (reports.created_at, reports.analysis_id) < (?, ?)"
            values += position(before, keys)
        # The page is found in an index alone: each lookup in the table reads the bodies of reports as well. For a
        # search the planner would prefer the index by time, which lacks the data set. CROSS JOIN fixes the join order.
        index = "" if search is None else "INDEXED BY reports_of_dataset"
        page = (
            f"SELECT reports.analysis_id, reports.created_at FROM reports {index} "
            "LEFT JOIN annotations ON annotations.tenant_id = reports.tenant_id "
            f"AND annotations.analysis_id = reports.analysis_id WHERE {conditions} "
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT ?"
        )
        query = (
            f"SELECT {_SUMMARY} FROM ({page}) AS page CROSS JOIN reports USING (analysis_id) "
            "LEFT JOIN annotations ON annotations.analysis_id = page.analysis_id AND annotations.tenant_id = ? "
            "LEFT JOIN datasets ON datasets.dataset_id = reports.dataset_id AND datasets.tenant_id = ? "
            "ORDER BY page.created_at DESC, page.analysis_id DESC"
        )
        values += [limit + 1, self._tenant, self._tenant]
        return page_of_summaries(await self._call(lambda c: c.execute(query, values).fetchall()), limit, keys)

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, in any order."""
        if not is_text(dataset_id):
            return []
        values = (self._tenant, self._keys.stored(dataset_id))
        rows = await self._call(lambda c: c.execute(_LOOKS, values).fetchall())
        return [Looks(outcome=outcome, treatment=treatment, analyses=count) for outcome, treatment, count in rows]
