"""Forks of a process in which polars had started its threads, which a fork leaves behind.

In such a process every call of polars waits for those threads for ever. The standard library alone: it is loaded
with `cqox`, so that it watches every fork after that.
"""

import os
import sys

__all__ = ["has_lost_threads"]

_THREADS = "/proc/self/task"
_POOL = "polars-"
"""Threads of the pool have this name and a number; others of polars are there from the import on and do no harm."""


class _Watch:
    """The state of polars before the last fork."""

    def __init__(self) -> None:
        self._started = False
        self.lost = False

    def before(self) -> None:
        # Only what was loaded can have threads; an import starts none of the pool.
        self._started = "polars" in sys.modules and _has_pool()

    def after_in_child(self) -> None:
        self.lost = self.lost or self._started


def has_lost_threads() -> bool:
    """Return whether polars would wait for threads that are in another process."""
    return _watch.lost


def _has_pool() -> bool:
    try:
        threads = os.listdir(_THREADS)
    except OSError:
        # Where threads have no names, rather a refusal than a wait for ever.
        return True
    return any(name.startswith(_POOL) and name[len(_POOL) :].isdigit() for name in map(_name, threads))


def _name(thread: str) -> str:
    try:
        with open(f"{_THREADS}/{thread}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        # It has ended since it was listed.
        return ""


_watch = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_watch.before, after_in_child=_watch.after_in_child)
