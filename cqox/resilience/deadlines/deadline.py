"""The deadline of everything inside a block, however many calls and attempts that is.

What lives here: setting it and asking for it. Where it stops to hold (tasks of the app, threads, shielded clean-up) is
told in `_ambient`; how it travels over HTTP in `http`.
"""

import math
from types import TracebackType
from typing import Self

from cqox.errors import DeadlineExceeded
from cqox.resilience.runtime.ambient_deadline import Ambient, in_force
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock, natural_time
from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.ranges import check_seconds

__all__ = ["deadline", "remaining"]


def remaining() -> float:
    """Seconds left here, for a driver that takes a timeout: 0.0 once the time has passed, `math.inf` without a limit.

    It is the smallest of the deadlines and attempt timeouts in force. None is in force in a task that was started
    outside of the block, in a thread, or under a shield.
    """
    innermost = in_force()
    return math.inf if innermost is None else innermost.remaining()


class deadline:
    """Ends what runs inside the block after `seconds`: `with deadline(2.0):`, in async and sync code alike.

    In a task it is a cancel scope of the event loop. The block then ends with `DeadlineExceeded`, unless it had already
    produced its result, and a cancellation from outside stays a cancellation. Synchronous code cannot be interrupted:
    there the policies inside heed it, `remaining()` tells it to drivers, and a block that overruns keeps its result.

    An inner deadline can only be the shorter one.
    """

    __slots__ = ("_clock", "_entered", "_record", "seconds")

    def __init__(self, seconds: float, *, clock: Clock | TimeSource | None = None) -> None:
        """Prepare a deadline; its time starts with the block.

        Args:
            seconds: how long the block may take, from 0; infinity sets none.
            clock: what measures the time that is left; the scope of a task goes by its loop.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.seconds = check_seconds("seconds", seconds, infinite=True)
        self._clock = None if clock is None else bind_clock("deadline", clock).now
        self._record: Ambient | None = None
        self._entered = False

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a deadline serves one block: make a new one for each")
        self._entered = True
        outer, loop = in_force(), current_loop()
        left = math.inf if outer is None else outer.remaining()
        # An outer one that ends the block no later is enough, unless it is only a number and a scope can be had.
        if self.seconds < left or (outer is not None and loop is not None and outer.loop is None):
            self._record = Ambient(min(self.seconds, left), loop, self._clock or natural_time())
            self._record.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._record is not None and self._record.leave(error):
            raise DeadlineExceeded(self.seconds, before_call=self._record.was_spent_queueing(error)) from error

    def disarm(self) -> bool:
        """End nothing any more: the rest of the block runs without it, in every task that it was in force for.

        Returns:
            False where it had begun to end the block, or where it is an enclosing deadline that would.
        """
        return self._record is not None and self._record.disarm()
