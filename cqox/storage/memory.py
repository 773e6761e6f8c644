"""The result cache of one process."""

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from cqox.storage.contracts import StoredReport

__all__ = ["MemoryCache"]

_ENTRY_BYTES = 250
"""What an entry costs apart from the report: its places in the dictionaries, its key, and the number of its size."""
_BLOCK_BYTES = 16
"""What the allocator adds to each block of memory."""
_MANY_CLAIMS = 1_024


class MemoryCache:
    """Keeps the reports that were used last, up to a total size.

    Args:
        max_bytes: the memory that all that is held may take, in bytes: whole objects, and not their text alone.
        epoch: a number that is another one once the store has lost or deleted some of what it kept; nothing of before
            is held then.
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
        """How much memory is held now."""
        return self._bytes

    @property
    def ids(self) -> Sequence[str]:
        """Of the reports that are held, the one used longest ago first."""
        return list(self._held)

    async def get(self, analysis_id: str) -> StoredReport | None:
        """The report, now the one used last; None where it is not held."""
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
        """Hold the report, dropping those used longest ago; one larger than the whole cache is not held."""
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
        """Hold it no longer."""
        held = self._held.pop(analysis_id, None)
        if held is not None:
            self._bytes -= held[1]

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Hold none of these reports any longer."""
        for analysis_id in analysis_ids:
            await self.discard(analysis_id)

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Take the turn to compute this report for a while, or prolong it; whether the token has it now."""
        holder, until = self._claims.get(analysis_id, (token, 0.0))
        now = time.monotonic()
        if holder != token and until > now:
            return False
        self._claims[analysis_id] = (token, now + seconds)
        if len(self._claims) > self._most_claims:
            # Those that nobody has prolonged or released are over; a look at all is made once for as many new ones.
            self._claims = {key: claim for key, claim in self._claims.items() if claim[1] > now}
            self._most_claims = max(_MANY_CLAIMS, 2 * len(self._claims))
        return True

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Give the turn back, if the token has it."""
        if self._claims.get(analysis_id, ("", 0.0))[0] == token:
            del self._claims[analysis_id]

    async def ping(self) -> None:
        """Nothing: it is there."""


def _size(report: StoredReport) -> int:
    values = [value for name in StoredReport.__dataclass_fields__ if (value := getattr(report, name)) is not None]
    return sys.getsizeof(report) + sum(sys.getsizeof(value) + _BLOCK_BYTES for value in values) + _ENTRY_BYTES
