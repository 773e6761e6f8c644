"""Annotations and summaries of reports in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.history import Annotation, Looks, ReportSummary
from cqox.storage.pages import Page
from cqox.storage.rows import ANNOTATION, NOTES_CHARACTERS, annotation_of, is_text, page_of_summaries, position
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresHistory"]

type _Connection = psycopg.Connection[TupleRow]

_SUMMARY: LiteralString = (
    'reports.analysis_id, reports.dataset_id, reports.created_at, status, verdict, "primary", estimate, '
    "outcome, treatment, headline, datasets.name, title, substr(notes, 1, %s)"
)
_FIRST: LiteralString = (
    "INSERT INTO annotations (tenant_id, analysis_id, dataset_id, title, notes, updated_at, version, searched) "
    "SELECT tenant_id, analysis_id, dataset_id, %(title)s, %(notes)s, %(updated_at)s, %(version)s, %(searched)s "
    "FROM reports WHERE tenant_id = %(tenant_id)s AND analysis_id = %(analysis_id)s FOR KEY SHARE "
    "ON CONFLICT DO NOTHING"
)
_NEXT: LiteralString = (
    "UPDATE annotations SET title = %(title)s, notes = %(notes)s, updated_at = %(updated_at)s, version = %(version)s, "
    "searched = %(searched)s "
    "WHERE tenant_id = %(tenant_id)s AND analysis_id = %(analysis_id)s AND version = %(replaces)s AND EXISTS "
    "(SELECT 1 FROM reports WHERE reports.tenant_id = %(tenant_id)s AND reports.analysis_id = %(analysis_id)s)"
)
_IS_STORED: LiteralString = (
    "SELECT 1 FROM annotations JOIN reports USING (tenant_id, analysis_id) "
    "WHERE tenant_id = %(tenant_id)s AND analysis_id = %(analysis_id)s AND version = %(version)s"
)

_LOOKS: LiteralString = (
    "SELECT outcome, treatment, count(*) FROM reports WHERE tenant_id = %s AND dataset_id = %s "
    "GROUP BY outcome, treatment"
)


class PostgresHistory(OfTenant, ABC):
    """Annotations and summaries of reports in the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def annotation(self, analysis_id: str) -> Annotation | None:
        """Return the annotation of this report, or None."""
        if not is_text(analysis_id):
            return None
        query: LiteralString = f"SELECT {ANNOTATION} FROM annotations WHERE tenant_id = %s AND analysis_id = %s"
        identity = (self._tenant, self._keys.stored(analysis_id))
        row = await self._call(lambda c: c.execute(query, identity).fetchone())
        return None if row is None else annotation_of(row, self._keys)

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """Insert or replace the annotation of a stored report; return whether this call did."""
        if not is_text(annotation.analysis_id):
            return False
        stored = self._keys.stored_record(annotation)
        values = {name: getattr(stored, name) for name in Annotation.__dataclass_fields__}
        values["tenant_id"] = self._tenant

        def write(connection: _Connection) -> bool:
            statement = _FIRST if replaces is None else _NEXT
            if connection.execute(statement, values | {"replaces": replaces}).rowcount == 1:
                return True
            # An earlier attempt may have written it, and only its answer was lost.
            return connection.execute(_IS_STORED, values).fetchone() is not None

        return await self._call(write)

    async def forget_history(self, dataset_id: str) -> None:
        """Delete annotations and share links of all reports on a data set, also of reports that a damage has lost."""

        those = (self._tenant, self._keys.stored(dataset_id))

        def forget(connection: _Connection) -> None:
            with connection.transaction():
                connection.execute("DELETE FROM annotations WHERE tenant_id = %s AND dataset_id = %s", those)
                connection.execute("DELETE FROM shares WHERE tenant_id = %s AND dataset_id = %s", those)

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
        keys = self._keys
        conditions: LiteralString = "reports.tenant_id = %s"
        values = list[object]([NOTES_CHARACTERS + 1, keys.tenant_id, keys.tenant_id, keys.tenant_id])
        if dataset_id is not None:
            conditions += " AND reports.dataset_id = %s"
            values.append(keys.stored(dataset_id))
        if search is not None:
            conditions += " AND (strpos(searched, %s) > 0 OR reports.dataset_id = ANY(%s))"
            values += [search, [keys.stored(each) for each in named]]
        if before is not None:
            conditions += " AND (reports.created_at, reports.analysis_id) < (%s, %s)"
            values += position(before, keys)
        query: LiteralString = (
            f"SELECT {_SUMMARY} FROM reports "
            "LEFT JOIN annotations ON annotations.analysis_id = reports.analysis_id AND annotations.tenant_id = %s "
            "LEFT JOIN datasets ON datasets.dataset_id = reports.dataset_id AND datasets.tenant_id = %s "
            f"WHERE {conditions} "
            "ORDER BY reports.created_at DESC, reports.analysis_id DESC LIMIT %s"
        )
        rows = await self._call(lambda c: c.execute(query, (*values, limit + 1), binary=True).fetchall())
        return page_of_summaries(rows, limit, keys)

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, in any order."""
        if not is_text(dataset_id):
            return []
        those = (self._tenant, self._keys.stored(dataset_id))
        rows = await self._call(lambda c: c.execute(_LOOKS, those).fetchall())
        return [Looks(outcome=outcome, treatment=treatment, analyses=count) for outcome, treatment, count in rows]
