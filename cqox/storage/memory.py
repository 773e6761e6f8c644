"""Result cache in the memory of one process (LRU, bounded in bytes)."""

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from cqox.storage.contracts import StoredReport

__all__ = ["MemoryCache"]

_ENTRY_BYTES = 250
"""Overhead of an entry in addition to the report: dictionary slots, key and stored size, in bytes."""
_BLOCK_BYTES = 16
"""Overhead of the allocator per block of memory, in bytes."""
_MANY_CLAIMS = 1_024


class MemoryCache:
    """LRU cache of reports, bounded by total size.

    Args:
        max_bytes: bound on the memory of all entries, in bytes: whole objects rather than their text only.
        epoch: returns a number that changes once the store has lost or deleted reports; entries of an earlier epoch
            are dropped.
    """

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024, epoch: Callable[[], int] = lambda: 0) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, not {max_bytes}")
        self._max_bytes = max_bytes
        self._epoch = epoch
        self._of_epoch = epoch()
        self._held: OrderedDict[str, tuple[StoredReport, int]] = OrderedDict()
        self._bytes = 0
        self._claims: dict[str, tuple[str, float]] = {}
        self._most_claims = _MANY_CLAIMS

    @property
    def size_bytes(self) -> int:
        """Memory of all entries now, in bytes."""
        return self._bytes

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the cached reports, least recently used first."""
        return list(self._held)

    async def get(self, analysis_id: str) -> StoredReport | None:
        """Return the report and mark it as most recently used; None on a miss."""
        epoch = self._epoch()
        if self._of_epoch != epoch:
            self._of_epoch, self._bytes = epoch, 0
            self._held.clear()
        held = self._held.get(analysis_id)
        if held is None:
            return None
        self._held.move_to_end(analysis_id)
        return held[0]

    async def put(self, report: StoredReport) -> None:
        """Cache the report and evict the least recently used; a report larger than the cache is not cached."""
        await self.discard(report.analysis_id)
        size = _size(report)
        if size > self._max_bytes:
            return
        self._held[report.analysis_id] = report, size
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, dropped) = self._held.popitem(last=False)
            self._bytes -= dropped

    async def discard(self, analysis_id: str) -> None:
        """Remove the report from the cache."""
        held = self._held.pop(analysis_id, None)
        if held is not None:
            self._bytes -= held[1]

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Remove these reports from the cache."""
        for analysis_id in analysis_ids:
            await self.discard(analysis_id)

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute this report; return whether the token holds it now."""
        holder, until = self._claims.get(analysis_id, (token, 0.0))
        now = time.monotonic()
        if holder != token and until > now:
            return False
        self._claims[analysis_id] = (token, now + seconds)
        if len(self._claims) > self._most_claims:
            # Drop expired leases; the threshold doubles, so the scan is amortised over as many new leases.
            self._claims = {key: claim for key, claim in self._claims.items() if claim[1] > now}
            self._most_claims = max(_MANY_CLAIMS, 2 * len(self._claims))
        return True

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        if self._claims.get(analysis_id, ("", 0.0))[0] == token:
            del self._claims[analysis_id]

    async def ping(self) -> None:
        """Do nothing: the cache is in this process."""


def _size(report: StoredReport) -> int:
    values = [value for name in StoredReport.__dataclass_fields__ if (value := getattr(report, name)) is not None]
    return sys.getsizeof(report) + sum(sys.getsizeof(value) + _BLOCK_BYTES for value in values) + _ENTRY_BYTES
