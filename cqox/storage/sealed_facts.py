"""Facts about reports in a sealed store: figures are readable, names are opened when they are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress

from cqox.dashboards.views import SEALED, ViewQuery, ViewRows
from cqox.errors import StoreUnavailable
from cqox.storage.contracts import DatasetRecord, ResultStore, StoredReport
from cqox.storage.facts import ReportFacts, Reuse
from cqox.storage.pages import Page
from cqox.storage.report_facts import facts_of
from cqox.storage.sealed_records import SealedRecords
from cqox.storage.sealing import is_marked

__all__ = ["SealedFacts"]

type _Row = tuple[str | float | None, ...]


class SealedFacts(ABC):
    """The methods of a sealed store on facts; see `FactsStore`."""

    _store: ResultStore
    _records: SealedRecords

    @abstractmethod
    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return a data set in plain text."""

    @abstractmethod
    async def _threaded[T](self, work: Callable[[], T]) -> T:
        """Run work in a thread."""

    @abstractmethod
    async def _guarded[T](self, work: Callable[[], T], what: str) -> T:
        """Run work that opens something in a thread."""

    async def facts_about(self, report: StoredReport) -> ReportFacts:
        """Return the facts of a report in plain text; roles are compared where its data set is still there."""
        record: DatasetRecord | None = None
        with suppress(StoreUnavailable):
            record = await self.dataset(report.dataset_id)
        return await self._threaded(lambda: facts_of(report, None if record is None else record.description))

    async def put_facts(self, facts: ReportFacts) -> bool:
        """See `FactsStore`."""
        return await self._store.put_facts(facts)

    async def without_facts(self, *, limit: int, before: str | None = None) -> Page[str]:
        """See `FactsStore`."""
        return await self._store.without_facts(limit=limit, before=before)

    async def count_reuses(self, reuses: Sequence[Reuse]) -> None:
        """See `FactsStore`."""
        await self._store.count_reuses(reuses)

    async def view_rows(self, query: ViewQuery, *, start: int, end: int, step: int = 1) -> ViewRows:
        """See `FactsStore`."""
        found = await self._store.view_rows(query, start=start, end=end, step=step)
        first = 1 if query.each_step else 0
        # Place of each name that may be sealed, with the record that it belongs to and the place of its id.
        names = {
            first + place: (SEALED[name][0], first + query.columns.index(SEALED[name][1]), name)
            for place, name in enumerate(query.columns)
            if name in SEALED
        }
        if not any(is_marked(value) for row in found.rows for value in row if isinstance(value, str)):
            return found
        opened = await self._guarded(lambda: [self._opened_row(row, names) for row in found.rows], "listing")
        return ViewRows(rows=opened, since=found.since, is_cut=found.is_cut)

    def _opened_row(self, row: _Row, names: dict[int, tuple[str, int, str]]) -> _Row:
        values = list(row)
        for place, (record, of, name) in names.items():
            value = values[place]
            if isinstance(value, str):
                values[place] = self._records.opened_text(value, record, str(values[of]), name)
        return tuple(values)
