"""Result cache in the memory of one process (LRU, bounded in bytes)."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence

from cqox import clock
from cqox.storage.contracts import StoredReport
from cqox.storage.tenant_ids import OfTenant

__all__ = ["MemoryCache"]

_ENTRY_BYTES = 250
"""Overhead of an entry in addition to the report: dictionary slots, key and stored size, in bytes."""
_BLOCK_BYTES = 16
"""Overhead of the allocator per block of memory, in bytes."""
_MANY_CLAIMS = 1_024


class MemoryCache(OfTenant):
    """LRU cache of the reports of all tenants, bounded by total size; `within` gives that of one.

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
        # Shared by the views of all tenants.
        self._shared = _Shared(epoch())

    @property
    def size_bytes(self) -> int:
        """Memory of all entries now, in bytes."""
        return self._shared.bytes

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the tenant's cached reports, least recently used first."""
        return [analysis_id for tenant_id, analysis_id in self._shared.held if tenant_id == self._tenant]

    async def get(self, analysis_id: str) -> StoredReport | None:
        """Return the report and mark it as most recently used; None on a miss."""
        shared, epoch, key = self._shared, self._epoch(), (self._tenant, analysis_id)
        if shared.of_epoch != epoch:
            shared.of_epoch, shared.bytes = epoch, 0
            shared.held.clear()
        held = shared.held.get(key)
        if held is None:
            return None
        shared.held.move_to_end(key)
        return held[0]

    async def put(self, report: StoredReport) -> None:
        """Cache the report and evict the least recently used; a report larger than the cache is not cached."""
        await self.discard(report.analysis_id)
        size = _size(report)
        if size > self._max_bytes:
            return
        shared = self._shared
        shared.held[self._tenant, report.analysis_id] = report, size
        shared.bytes += size
        while shared.bytes > self._max_bytes:
            _, (_, dropped) = shared.held.popitem(last=False)
            shared.bytes -= dropped

    async def discard(self, analysis_id: str) -> None:
        """Remove the report from the cache."""
        held = self._shared.held.pop((self._tenant, analysis_id), None)
        if held is not None:
            self._shared.bytes -= held[1]

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Remove these reports from the cache."""
        for analysis_id in analysis_ids:
            await self.discard(analysis_id)

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute this report; return whether the token holds it now."""
        shared, key = self._shared, (self._tenant, analysis_id)
        holder, until = shared.claims.get(key, (token, 0.0))
        now = clock.monotonic()
        if holder != token and until > now:
            return False
        shared.claims[key] = (token, now + seconds)
        if len(shared.claims) > shared.most_claims:
            # Drop expired leases; the threshold doubles, so the scan is amortised over as many new leases.
            shared.claims = {key: claim for key, claim in shared.claims.items() if claim[1] > now}
            shared.most_claims = max(_MANY_CLAIMS, 2 * len(shared.claims))
        return True

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        if self._shared.claims.get((self._tenant, analysis_id), ("", 0.0))[0] == token:
            del self._shared.claims[self._tenant, analysis_id]

    async def ping(self) -> None:
        """Do nothing: the cache is in this process."""


class _Shared:
    """Entries and leases of all tenants; a key is a tenant with an id."""

    def __init__(self, epoch: int) -> None:
        self.of_epoch = epoch
        self.held: OrderedDict[tuple[str, str], tuple[StoredReport, int]] = OrderedDict()
        self.bytes = 0
        self.claims: dict[tuple[str, str], tuple[str, float]] = {}
        self.most_claims = _MANY_CLAIMS


def _size(report: StoredReport) -> int:
    values = [value for name in StoredReport.__dataclass_fields__ if (value := getattr(report, name)) is not None]
    return sys.getsizeof(report) + sum(sys.getsizeof(value) + _BLOCK_BYTES for value in values) + _ENTRY_BYTES
