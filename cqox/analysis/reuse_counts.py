"""Counts of answers that needed no computation, kept in memory and written to the store every few seconds."""

from cqox import clock
from cqox.errors import StoreUnavailable
from cqox.storage import ResultStore, Reuse

__all__ = ["ReuseCounts"]

_DAY_SECONDS = 86_400
_MOST_REPORTS = 10_000


class ReuseCounts:
    """Counts of one tenant in one engine. What is not written yet is lost with the engine.

    Args:
        store: the counts of all engines.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def add(self, analysis_id: str, *, cached: int = 0, shared: int = 0) -> None:
        """Count answers of a report; beyond 10,000 reports that wait for the store those of others are not counted."""
        key = (analysis_id, int(clock.wall_time()) // _DAY_SECONDS * _DAY_SECONDS)
        if key in self._counts or len(self._counts) < _MOST_REPORTS:
            before = self._counts.get(key, (0, 0))
            self._counts[key] = before[0] + cached, before[1] + shared

    async def write(self) -> None:
        """Write the counts; if the store does not answer they are kept. Never raises."""
        if not self._counts:
            return
        counts, self._counts = self._counts, {}
        reuses = [
            Reuse(analysis_id=key, day_second=day, cached=cached, shared=shared)
            for (key, day), (cached, shared) in counts.items()
        ]
        try:
            await self._store.count_reuses(reuses)
        except StoreUnavailable:
            for (key, day), (cached, shared) in counts.items():
                before = self._counts.get((key, day), (0, 0))
                self._counts[key, day] = before[0] + cached, before[1] + shared
