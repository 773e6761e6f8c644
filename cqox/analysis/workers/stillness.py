"""Time for which a process has been still: every thread asleep, and no CPU time used.

A library can lose a thread without an error, such as one that could not start at the limit of memory, and wait for it
for ever. A process that reads from a slow disk or that was stopped is not still.
"""

import os
import resource
from collections.abc import Callable

__all__ = ["Stillness", "near_memory_limit"]

_ASLEEP = frozenset("SI")
# Threads of the allocator wake up now and then.
_IDLE_CPU_SHARE = 0.002
_NEAR = 0.9
_KIBIBYTE = 1024


class Stillness:
    """Adds up the time that a process has been still, from regular looks at it."""

    def __init__(self, pid: int, cpu_seconds: Callable[[], float]) -> None:
        """Begin with no time.

        Args:
            pid: the process.
            cpu_seconds: returns its CPU time in seconds.
        """
        self._pid = pid
        self._cpu_seconds = cpu_seconds
        self._last = cpu_seconds()
        self._still = 0.0

    def look(self, seconds: float) -> float:
        """Look at the process, and return for how many seconds it has been still.

        Args:
            seconds: time since the last look.
        """
        used = self._cpu_seconds()
        asleep = used - self._last <= _IDLE_CPU_SHARE * seconds and _all_asleep(self._pid)
        self._last = used
        self._still = self._still + seconds if asleep else 0.0
        return self._still


def _all_asleep(pid: int) -> bool:
    """Return whether every thread sleeps; False where the system does not list threads."""
    folder = f"/proc/{pid}/task"
    try:
        threads = os.listdir(folder)
        return bool(threads) and all(_state(f"{folder}/{thread}/stat") in _ASLEEP for thread in threads)
    except OSError:
        return False


def _state(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        # The name of the thread, which may contain anything, is in parentheses before it.
        return file.read().rpartition(")")[2].split()[0]


def near_memory_limit(pid: int) -> bool:
    """Return whether the process has nearly as much memory as it may have; False where the system does not show it."""
    try:
        most, _ = resource.prlimit(pid, resource.RLIMIT_DATA)
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            used = next(int(line.split()[1]) * _KIBIBYTE for line in status if line.startswith("VmData:"))
    except (AttributeError, OSError, StopIteration):
        return False
    return most != resource.RLIM_INFINITY and used >= _NEAR * most
