"""Atomic counter: increments without a lock."""

from itertools import count

__all__ = ["AtomicCounter"]


class AtomicCounter:
    """A counter of calls of `add`, from any thread.

    A step of CPython's `itertools.count` is atomic: with a GIL, as threads are not switched within it; without one, as
    it is a compare-and-swap. So an increment takes no lock, and an interrupt of the thread cannot leave one held, as it
    could between `Lock.acquire` and its `try`. A `with` block has no such gap, but costs as much as the rest of a
    successful call. `tests/resilience/test_threads.py` holds every interpreter to it that is supported.

    Attributes:
        add: increments the counter.
    """

    __slots__ = ("_reads", "_steps", "add")

    def __init__(self) -> None:
        self._steps = count()
        self._reads = 0
        self.add = self._steps.__next__

    def value(self) -> int:
        """Return the count. Reading takes a step too, so the caller must hold a lock."""
        steps = next(self._steps) - self._reads
        self._reads += 1
        return steps
