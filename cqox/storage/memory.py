"""The result cache of one process."""

import time
from collections import OrderedDict
from collections.abc import Callable

from cqox.storage.contracts import StoredReport

__all__ = ["MemoryCache"]


class MemoryCache:
    """Keeps the reports that were used last, up to a total size.

    Args:
        max_bytes: the reports, provenances and figures held together, in bytes.
        epoch: a number that is another one once the store has lost what it kept; nothing of before is held then.
    """

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024, epoch: Callable[[], int] = lambda: 0) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, not {max_bytes}")
        self._max_bytes = max_bytes
        self._epoch = epoch
        self._of_epoch = epoch()
        self._held: OrderedDict[str, StoredReport] = OrderedDict()
        self._bytes = 0
        self._claims: dict[str, tuple[str, float]] = {}

    @property
    def size_bytes(self) -> int:
        """How much is held now."""
        return self._bytes

    async def get(self, analysis_id: str) -> StoredReport | None:
        """The report, now the one used last; None where it is not held."""
        if self._of_epoch != self._epoch():
            self._of_epoch, self._bytes = self._epoch(), 0
            self._held.clear()
        report = self._held.get(analysis_id)
        if report is not None:
            self._held.move_to_end(analysis_id)
        return report

    async def put(self, report: StoredReport) -> None:
        """Hold the report, dropping those used longest ago; one larger than the whole cache is not held."""
        await self.discard(report.analysis_id)
        size = _size(report)
        if size > self._max_bytes:
            return
        self._held[report.analysis_id] = report
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= _size(dropped)

    async def discard(self, analysis_id: str) -> None:
        """Hold it no longer."""
        report = self._held.pop(analysis_id, None)
        if report is not None:
            self._bytes -= _size(report)

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Take the turn to compute this report for a while, or prolong it; whether the token has it now."""
        holder, until = self._claims.get(analysis_id, (token, 0.0))
        now = time.monotonic()
        if holder != token and until > now:
            return False
        self._claims[analysis_id] = (token, now + seconds)
        return True

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Give the turn back, if the token has it."""
        if self._claims.get(analysis_id, ("", 0.0))[0] == token:
            del self._claims[analysis_id]

    async def ping(self) -> None:
        """Nothing: it is there."""


def _size(report: StoredReport) -> int:
    return len(report.report) + len(report.provenance) + len(report.figures)
