"""Facts of stored reports that have none: those of earlier versions, and those that another release has stored."""

from logging import getLogger

import anyio

from cqox.errors import StoreUnavailable
from cqox.storage import ResultStore
from cqox.storage.report_facts import facts_of
from cqox.threads import run_in_thread

__all__ = ["MissingFacts"]

_BATCH = 50
_REST_SECONDS = 3600.0
_RETRY_SECONDS = 60.0
_logger = getLogger("cqox.analysis")


class MissingFacts:
    """Computes missing facts of one tenant, a few reports at a time, from the newest to the oldest.

    A report that cannot be read is left out until the next look at all reports.

    Args:
        store: reports and facts.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self._before: str | None = None
        self._at = 0.0
        self._filled = 0

    async def fill(self) -> None:
        """Compute the facts of up to 50 reports, unless all were looked at within the hour. Never raises."""
        if anyio.current_time() < self._at:
            return
        try:
            page = await self._store.without_facts(limit=_BATCH, before=self._before)
        except StoreUnavailable:
            self._at = anyio.current_time() + _RETRY_SECONDS
            return
        for key in page.items:
            try:
                self._filled += await self._fill(key)
            except StoreUnavailable as error:
                _logger.info("The facts of the analysis %s could not be computed: %s", key, error)
        self._before = page.next
        if page.next is None:
            self._at = anyio.current_time() + _REST_SECONDS
            if self._filled:
                _logger.info("Facts for dashboards were computed of %d stored analyses.", self._filled)
            self._filled = 0

    async def _fill(self, key: str) -> bool:
        report = await self._store.load(key)
        if report is None:
            return False
        record = await self._store.dataset(report.dataset_id)
        description = None if record is None else record.description
        facts = await run_in_thread(lambda: facts_of(report, description))
        return await self._store.put_facts(facts)
