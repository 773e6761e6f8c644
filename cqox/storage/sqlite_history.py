"""Annotations and summaries of reports in the SQLite store."""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox.storage.history import Annotation, Looks, ReportSummary
from cqox.storage.pages import Page
from cqox.storage.rows import ANNOTATION, NOTES_CHARACTERS, annotation_of, is_text, page_of_summaries, position

__all__ = ["SqliteHistory"]

_SUMMARY = (
    'reports.analysis_id, reports.dataset_id, reports.created_at, status, verdict, "primary", estimate, '
    f"outcome, treatment, headline, datasets.name, title, substr(notes, 1, {NOTES_CHARACTERS + 1})"
)
_FIRST = (
    "INSERT INTO annotations (analysis_id, dataset_id, title, notes, updated_at, version, searched) "
    "SELECT analysis_id, dataset_id, :title, :notes, :updated_at, :version, :searched FROM reports "
    "WHERE analysis_id = :analysis_id ON CONFLICT DO NOTHING"
)
_NEXT = (
    "UPDATE annotations SET title = :title, notes = :notes, updated_at = :updated_at, version = :version, "
    "searched = :searched WHERE analysis_id = :analysis_id AND version = :replaces "
    "AND EXISTS (SELECT 1 FROM reports WHERE reports.analysis_id = :analysis_id)"
)
_IS_STORED = (
    "SELECT 1 FROM annotations JOIN reports USING (analysis_id) WHERE analysis_id = :analysis_id AND version = :version"
)

_LOOKS = "SELECT outcome, treatment, count(*) FROM reports WHERE dataset_id = ? GROUP BY outcome, treatment"


class SqliteHistory(ABC):
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
        query = f"SELECT {ANNOTATION} FROM annotations WHERE analysis_id = ?"
        row = await self._call(lambda c: c.execute(query, (analysis_id,)).fetchone())
        return None if row is None else annotation_of(row)

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """Insert or replace the annotation of a stored report; return whether this call did."""
        if not is_text(annotation.analysis_id):
            return False
        values = {name: getattr(annotation, name) for name in Annotation.__dataclass_fields__}

        def write(connection: sqlite3.Connection) -> bool:
            statement = _FIRST if replaces is None else _NEXT
            if connection.execute(statement, values | {"replaces": replaces}).rowcount == 1:
                return True
            # As in the PostgreSQL store, where a retried call may find its own version.
            return connection.execute(_IS_STORED, values).fetchone() is not None

        return await self._write(write)

    async def forget_history(self, dataset_id: str) -> None:
        """Delete annotations and share links of all reports on a data set, also of reports that a damage has lost."""

        def forget(connection: sqlite3.Connection) -> None:
            for table in ("annotations", "shares"):
                connection.execute(f"DELETE FROM {table} WHERE dataset_id = ?", (dataset_id,))

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
        conditions, values = "1 = 1", list[str | int]()
        if dataset_id is not None:
            conditions += " AND reports.dataset_id = ?"
            values.append(dataset_id)
        if search is not None:
            conditions += " AND (instr(searched, ?) > 0 OR reports.dataset_id IN (SELECT value FROM json_each(?)))"
            values += [search, json.dumps(list(named))]
        if before is not None:
            conditions += " AND (reports.created_at, reports.analysis_id) < (?, ?)"
            values += position(before)
        # The page is found in an index alone: each lookup in the table reads the bodies of reports as well. For a
        # search the planner would prefer the index by time, which lacks the data set. CROSS JOIN fixes the join order.
        index = "" if search is None else "INDEXED BY reports_by_dataset"
        page = (
            f"SELECT reports.analysis_id, reports.created_at FROM reports {index} "
            f"LEFT JOIN annotations USING (analysis_id) WHERE {conditions} "
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT ?"
        )
        query = (
            f"SELECT {_SUMMARY} FROM ({page}) AS page CROSS JOIN reports USING (analysis_id) "
            "LEFT JOIN annotations USING (analysis_id) LEFT JOIN datasets ON datasets.dataset_id = reports.dataset_id "
            "ORDER BY page.created_at DESC, page.analysis_id DESC"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1)).fetchall())
        return page_of_summaries(rows, limit)

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, in any order."""
        if not is_text(dataset_id):
            return []
        rows = await self._call(lambda c: c.execute(_LOOKS, (dataset_id,)).fetchall())
        return [Looks(outcome=outcome, treatment=treatment, analyses=count) for outcome, treatment, count in rows]
