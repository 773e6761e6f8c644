"""Queueing time of calls inside this process, which is never attributed to the callee.

Waits are recorded in the context of the task or thread, so that enclosing code can subtract them, and errors that end a
wait are marked.
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
    """One wait in a queue.

    Attributes:
        seconds: duration of the wait.
        began: its start, by each of the known clocks.
    """

    seconds: float
    began: tuple[tuple[Callable[[], float], float], ...]


waits: ContextVar[tuple[Wait, ...]] = ContextVar("cqox_waits_in_queues", default=())
"""The latest waits of this task or thread."""


class QueueWait:
    """A context manager around a wait in a queue.

    Args:
        clock: clock of the queue.
        other: a second clock by which the wait may be looked up, such as that of the deadline.
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
    """Mark `error` as having ended a wait in a queue."""
    vars(error)[_MARK] = True


def ended_in_queue(error: BaseException | None) -> bool:
    """Return whether `error`, or every leaf of a group, ended a wait in a queue."""
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
    """Return the queueing seconds of this task or thread in waits that began at `since` by `source` or later."""
    return sum(
        wait.seconds for wait in waits.get() if any(clock == source and began >= since for clock, began in wait.began)
    )


def _read(source: Callable[[], float]) -> float:
    try:
        return source()
    except RuntimeError:  # a clock of a loop that does not run here
        return math.nan
