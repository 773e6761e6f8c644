"""The memory that the C allocator keeps of what a process has freed, given back to the system.

Reports of a hundred kilobytes live for hours between buffers that live for milliseconds, so that the heap is full of
holes: a process took almost twice of what it held.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path

from anyio import CapacityLimiter, to_thread

__all__ = ["Heap"]

_M_ARENA_MAX = -8
_ARENAS = 2
_GROWN_BYTES = 8 * 2**20
_PAGE_BYTES = 4096


class Heap:
    """The heap of this process; of no effect where the allocator is not glibc's.

    Args:
        resident: the memory that the process has, in bytes.
        trim: gives back what is free; None where nothing does.
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
            # Threads hold the interpreter's lock while they allocate: a heap for each of them is holes and no gain.
            library.mallopt(_M_ARENA_MAX, _ARENAS)

    async def give_back(self) -> None:
        """Give back what is free, if the process has grown since the last time."""
        if self._trim is None or (self._after is not None and self._resident() < self._after + _GROWN_BYTES):
            return
        await to_thread.run_sync(self._trim, 0, limiter=self._limiter)
        self._after = self._resident()


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
