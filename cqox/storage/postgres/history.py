"""Annotations and summaries of reports in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.history import Annotation, Looks, ReportSummary
from cqox.storage.pages import Page
from cqox.storage.rows import ANNOTATION, NOTES_CHARACTERS, annotation_of, is_text, page_of_summaries, position

__all__ = ["PostgresHistory"]

type _Connection = psycopg.Connection[TupleRow]

_SUMMARY: LiteralString = (
    'reports.analysis_id, reports.dataset_id, reports.created_at, status, verdict, "primary", estimate, '
    "outcome, treatment, headline, datasets.name, title, substr(notes, 1, %s)"
)
_FIRST: LiteralString = (
    "INSERT INTO annotations (analysis_id, dataset_id, title, notes, updated_at, version, searched) "
    "SELECT analysis_id, dataset_id, %(title)s, %(notes)s, %(updated_at)s, %(version)s, %(searched)s FROM reports "
    "WHERE analysis_id = %(analysis_id)s FOR KEY SHARE ON CONFLICT DO NOTHING"
)
_NEXT: LiteralString = (
    "UPDATE annotations SET title = %(title)s, notes = %(notes)s, updated_at = %(updated_at)s, version = %(version)s, "
    "searched = %(searched)s WHERE analysis_id = %(analysis_id)s AND version = %(replaces)s "
    "AND EXISTS (SELECT 1 FROM reports WHERE reports.analysis_id = %(analysis_id)s)"
)
_IS_STORED: LiteralString = (
    "SELECT 1 FROM annotations JOIN reports USING (analysis_id) "
    "WHERE analysis_id = %(analysis_id)s AND version = %(version)s"
)

_LOOKS: LiteralString = (
    "SELECT outcome, treatment, count(*) FROM reports WHERE dataset_id = %s GROUP BY outcome, treatment"
)


class PostgresHistory(ABC):
    """Annotations and summaries of reports in the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def annotation(self, analysis_id: str) -> Annotation | None:
        """Return the annotation of this report, or None."""
        if not is_text(analysis_id):
            return None
        query: LiteralString = f"SELECT {ANNOTATION} FROM annotations WHERE analysis_id = %s"
        row = await self._call(lambda c: c.execute(query, (analysis_id,)).fetchone())
        return None if row is None else annotation_of(row)

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """Insert or replace the annotation of a stored report; return whether this call did."""
        if not is_text(annotation.analysis_id):
            return False
        values = {name: getattr(annotation, name) for name in Annotation.__dataclass_fields__}

        def write(connection: _Connection) -> bool:
            statement = _FIRST if replaces is None else _NEXT
            if connection.execute(statement, values | {"replaces": replaces}).rowcount == 1:
                return True
            # An earlier attempt may have written it, and only its answer was lost.
            return connection.execute(_IS_STORED, values).fetchone() is not None

        return await self._call(write)

    async def forget_history(self, dataset_id: str) -> None:
        """Delete annotations and share links of all reports on a data set, also of reports that a damage has lost."""

        def forget(connection: _Connection) -> None:
            connection.execute("DELETE FROM annotations WHERE dataset_id = %s", (dataset_id,))
            connection.execute("DELETE FROM shares WHERE dataset_id = %s", (dataset_id,))

        if is_text(dataset_id):
            await self._call(forget)

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
        conditions: LiteralString = "true"
        values = list[object]([NOTES_CHARACTERS + 1])
        if dataset_id is not None:
            conditions += " AND reports.dataset_id = %s"
            values.append(dataset_id)
        if search is not None:
            conditions += " AND (strpos(searched, %s) > 0 OR reports.dataset_id = ANY(%s))"
            values += [search, list(named)]
        if before is not None:
            conditions += " AND (reports.created_at, reports.analysis_id) < (%s, %s)"
            values += position(before)
        query: LiteralString = (
            f"SELECT {_SUMMARY} FROM reports LEFT JOIN annotations USING (analysis_id) "
            f"LEFT JOIN datasets ON datasets.dataset_id = reports.dataset_id WHERE {conditions} "
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT %s"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1), binary=True).fetchall())
        return page_of_summaries(rows, limit)

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, in any order."""
        if not is_text(dataset_id):
            return []
        rows = await self._call(lambda c: c.execute(_LOOKS, (dataset_id,)).fetchall())
        return [Looks(outcome=outcome, treatment=treatment, analyses=count) for outcome, treatment, count in rows]
