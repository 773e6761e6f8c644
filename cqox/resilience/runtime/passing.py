"""The switch that lets calls pass without their parts, for tests.

It is the function that each call looks its deadline up with, so that a call pays nothing for the switch.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = ["disabled", "passing"]


class _Passing:
    """State of the switch, for the whole process.

    Attributes:
        lookup: returns the deadline of a call, or the sign that the call passes.
        on: True while calls pass.
    """

    __slots__ = ("_depth", "_lock", "_passes", "_usual", "lookup", "on")

    def __init__(self) -> None:
        self.on = False
        self._depth = 0
        self._lock = Lock()

    def install(self, usual: Callable[[], Any], passes: Callable[[], Any]) -> None:
        """Set the two functions of `lookup`."""
        self.lookup = self._usual = usual
        self._passes = passes

    def add(self, blocks: int) -> None:
        """Count the blocks in progress that let calls pass."""
        with self._lock:
            self._depth += blocks
            self.on = self._depth > 0
            self.lookup = self._passes if self.on else self._usual


passing = _Passing()


@contextmanager
def disabled() -> Generator[None]:
    """Let every call pass without its parts inside the block, in all tasks and threads of this process.

    Functions that are decorated already pass too, and so do blocks: no attempt is repeated or bounded, nothing is
    rejected, counted or announced, and the callee's own exception reaches the caller. A deadline that is set inside the
    block has no effect. Calls that began before it stay as they are. Blocks may nest and overlap.
    """
    passing.add(1)
    try:
        yield
    finally:
        passing.add(-1)
