"""Descriptors of simulated processes, which share one real process; the kernel closes those of a process that dies.

A descriptor is not closed, since the program will do that, but becomes one of the null device: its locks end, and what
is written to it has no effect.
"""

import os
from collections.abc import Callable

from cqox.chaos.simulation.disk.operations import path_of

__all__ = ["Descriptors"]


class Descriptors:
    """The open descriptors of a folder.

    Args:
        concerns: returns whether the file at an absolute path belongs to the folder.
    """

    def __init__(self, concerns: Callable[[str], bool]) -> None:
        self._concerns = concerns
        self._owners: dict[int, str] = {}

    def expect(self, owner: str) -> None:
        """Take the next descriptor that is opened for one of this process, which is the lowest free number."""
        self._owners[_lowest_free()] = owner

    def release(self, owner: str) -> None:
        """Take its descriptors away from a process."""
        for descriptor in [one for one, other in self._owners.items() if other == owner]:
            del self._owners[descriptor]
            self._take(descriptor)

    def release_all(self) -> None:
        """Take their descriptors away from all processes."""
        self._owners.clear()
        for name in sorted(os.listdir("/proc/self/fd"), key=int):
            self._take(int(name))

    def _take(self, descriptor: int) -> None:
        # It may have been closed since, and be one of something else.
        path = _path_also_of_removed(descriptor)
        if path is None or not self._concerns(path):
            return
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.dup2(null, descriptor, inheritable=False)
        finally:
            os.close(null)


def _lowest_free() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.close(descriptor)
    return descriptor


def _path_also_of_removed(descriptor: int) -> str | None:
    path = path_of(descriptor)
    if path is None:
        try:
            path = os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)")
        except OSError:
            return None
    return path
