"""Release of free heap memory to the operating system (glibc `malloc_trim`).

Reports of a hundred kilobytes live for hours between buffers that live for milliseconds, which fragments the heap: a
process used almost twice the memory of its live objects.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path

from anyio import CapacityLimiter

from cqox.threads import replacement, run_in_thread

__all__ = ["Heap"]

_M_ARENA_MAX = -8
_ARENAS = 2
_GROWN_BYTES = 8 * 2**20
_PAGE_BYTES = 4096


class Heap:
    """Heap of this process; without effect unless the allocator is glibc's.

    Args:
        resident: returns the resident set size of the process, in bytes.
        trim: releases free memory; None if the allocator has no such call.
    """

    def __init__(
        self, *, resident: Callable[[], int] | None = None, trim: Callable[[int], object] | None = None
    ) -> None:
        library = ctypes.CDLL(None)
        self._resident = resident or _resident
        self._trim = trim or getattr(library, "malloc_trim", None)
        self._after: int | None = None
        self._limiter = CapacityLimiter(1)
        if self._trim is not None and hasattr(library, "mallopt"):
            # Threads allocate under the GIL: one arena per thread would add fragmentation without a gain.
            library.mallopt(_M_ARENA_MAX, _ARENAS)

    async def release(self) -> None:
        """Release free memory if the process has grown since the last call."""
        if replacement() is not None:
            # Simulated engines share this process: its size would make runs of one seed differ.
            return
        if self._trim is None or (self._after is not None and self._resident() < self._after + _GROWN_BYTES):
            return
        await run_in_thread(self._trim, 0, limiter=self._limiter)
        self._after = self._resident()


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
