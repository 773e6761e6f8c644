"""Time that calls spend in queues of this process, which is never the fault of what they wait to call.

What lives here: noting a wait, and asking how much of a time went by in queues and whether a call ended in one. A wait
is known to whatever runs in the same task or thread around it.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Final, NamedTuple, cast

from cqox.resilience.runtime.clock import BoundClock

__all__ = ["QueueWait", "ended_in_queue", "mark_ended_in_queue", "seconds_in_queues", "waits"]

_MOST_WAITS: Final = 16
_MOST_CAUSES: Final = 8
_MARK: Final = "_cqox_ended_in_queue"


class Wait(NamedTuple):
    """One wait.

    Attributes:
        seconds: how long it took.
        began: when, by each of the clocks that are known.
    """

    seconds: float
    began: tuple[tuple[Callable[[], float], float], ...]


waits: ContextVar[tuple[Wait, ...]] = ContextVar("cqox_waits_in_queues", default=())
"""The latest waits of this task or thread."""


class QueueWait:
    """A block that waits in a queue.

    Args:
        clock: of the queue.
        other: another clock that whoever asks may go by, such as that of the deadline.
    """

    __slots__ = ("_began", "_source")

    def __init__(self, clock: BoundClock, other: Callable[[], float] | None) -> None:
        self._source = clock.source()
        self._began = tuple(
            (source, time) for source in (self._source, other) if source is not None and (time := _read(source)) == time
        )

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._began:
            source, began = self._began[0]
            seconds = _read(source) - began
            if seconds > 0:
                waits.set((*waits.get()[1 - _MOST_WAITS :], Wait(seconds, self._began)))
        if error is not None:
            mark_ended_in_queue(error)


def mark_ended_in_queue(error: BaseException) -> None:
    """Note on `error` that it ended a wait in a queue."""
    vars(error)[_MARK] = True


def ended_in_queue(error: BaseException | None) -> bool:
    """True where `error` ended a wait in a queue; of a group, every leaf."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return False
        if isinstance(error, BaseExceptionGroup):
            return all(map(ended_in_queue, cast("BaseExceptionGroup[BaseException]", error).exceptions))
        if _MARK in vars(error):
            return True
        error = error.__cause__
    return False


def seconds_in_queues(source: Callable[[], float], since: float) -> float:
    """Seconds that went by in queues, of this task or thread, in waits that began at `since` by `source` or later."""
    return sum(
        wait.seconds for wait in waits.get() if any(clock == source and began >= since for clock, began in wait.began)
    )


def _read(source: Callable[[], float]) -> float:
    try:
        return source()
    except RuntimeError:  # a clock of a loop that does not run here
        return math.nan
