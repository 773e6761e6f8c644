"""Forks of a process in which polars had started its threads, which a fork leaves behind.

In such a process every call of polars waits for those threads for ever. The standard library alone: it is loaded
with `cqox`, so that it watches every fork after that.
"""

import os
import sys
import threading
import time

__all__ = ["has_lost_threads"]

_THREADS = "/proc/self/task"
_POOL = "polars-"
"""Threads of the pool have this name and a number; others of polars are there from the import on and do no harm."""

_NAMING_SECONDS, _PAUSE_SECONDS = 0.1, 0.002


class _Watch:
    """The state of polars before the last fork."""

    def __init__(self) -> None:
        self._started = False
        self.lost = False
        self._nameless = frozenset[str]()

    def before(self) -> None:
        # Only what was loaded can have threads; an import starts none of the pool.
        self._started = "polars" in sys.modules and self._has_pool()

    def _has_pool(self) -> bool:
        """Return whether a thread is of the pool. One that has just started gives itself its name: it is waited for."""
        until = time.monotonic() + _NAMING_SECONDS
        while True:
            names = _names()
            if names is None or any(name.startswith(_POOL) and name[len(_POOL) :].isdigit() for name in names.values()):
                return True
            nameless = _nameless(names)
            if nameless <= self._nameless:
                return False
            if time.monotonic() > until:
                # Those of other libraries never take one.
                self._nameless = nameless
                return False
            time.sleep(_PAUSE_SECONDS)

    def after_in_child(self) -> None:
        self.lost = self.lost or self._started


def has_lost_threads() -> bool:
    """Return whether polars would wait for threads that are in another process."""
    return _watch.lost


def _names() -> dict[str, str] | None:
    """Return the name of each thread by its id; None where threads have no names: rather a refusal than a long wait."""
    try:
        return {thread: _name(thread) for thread in os.listdir(_THREADS)}
    except OSError:
        return None


def _nameless(names: dict[str, str]) -> frozenset[str]:
    """Return the threads that have the name of the process still, and are not of Python."""
    process = names.get(str(os.getpid()), "")
    own = {str(thread.native_id) for thread in threading.enumerate()}
    return frozenset(thread for thread, name in names.items() if name == process and thread not in own)


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
