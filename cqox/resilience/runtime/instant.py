"""The switch that takes the pauses between attempts away, for tests."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

__all__ = ["instant", "pauses"]


class _Pauses:
    """State of the switch, for the whole process.

    Attributes:
        skipped: number of blocks open that skip pauses.
    """

    __slots__ = ("skipped",)

    def __init__(self) -> None:
        self.skipped = 0


pauses = _Pauses()
_lock = Lock()


@contextmanager
def instant() -> Generator[None]:
    """Let every pause between attempts take no time inside the block, in all tasks and threads of this process.

    Everything else stays: the number of attempts, which exceptions are retried, budgets, circuits, timeouts. Events and
    log lines show pauses of 0 s. Blocks may nest and overlap.
    """
    with _lock:
        pauses.skipped += 1
    try:
        yield
    finally:
        with _lock:
            pauses.skipped -= 1
