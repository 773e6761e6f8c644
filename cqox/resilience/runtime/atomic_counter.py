"""A count that every call adds to without a lock."""

from itertools import count

__all__ = ["AtomicCounter"]


class AtomicCounter:
    """Counts how often `add` was called, from any thread.

    The interpreter's lock does not change hands within a step of an iterator that is written in C. So adding takes no
    lock, and an interrupt of the thread that adds leaves none held. Between `Lock.acquire` and the `try` behind it, it
    would; a `with` has no such gap and costs as much as all the rest of a success.

    Attributes:
        add: counts one more.
    """

    __slots__ = ("_reads", "_steps", "add")

    def __init__(self) -> None:
        self._steps = count()
        self._reads = 0
        self.add = self._steps.__next__

    def value(self) -> int:
        """The count. Looking is a step too, so the caller holds a lock."""
        steps = next(self._steps) - self._reads
        self._reads += 1
        return steps
