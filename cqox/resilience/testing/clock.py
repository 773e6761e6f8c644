"""A clock that only tests move."""

import heapq
import itertools
import math
from threading import Lock

from anyio.lowlevel import checkpoint

from cqox.resilience.pipeline.waiter import TaskWaiter, ThreadWaiter
from cqox.resilience.runtime.criticality import Criticality
from cqox.resilience.runtime.ranges import check_seconds

__all__ = ["FakeClock"]


class FakeClock:
    """A clock for `clock=`: with `auto`, a sleep moves it and returns at once; else a sleeper waits for `advance`.

    It may be shared by threads and loops. Cancel scopes go by the time of their event loop, not by this: use
    `VirtualTimeLoop` or Trio's `MockClock` for them.

    Attributes:
        auto: whether sleeping moves the clock.
        sleeps: seconds of every sleep, in the order in which they began.
    """

    def __init__(self, auto: bool = True, *, start: float = 0.0) -> None:
        """Make a clock that shows `start` seconds."""
        self.auto = auto
        self.sleeps: list[float] = []
        self._now = start
        self._lock = Lock()
        self._sleepers: list[tuple[float, int, TaskWaiter | ThreadWaiter]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """The time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock on and wake who has slept enough, the earliest first.

        Raises:
            ValueError: `seconds` is negative, NaN or infinite.
        """
        check_seconds("seconds", seconds)
        woken: list[TaskWaiter | ThreadWaiter] = []
        with self._lock:
            self._now += seconds
            while self._sleepers and self._sleepers[0][0] <= self._now:
                woken.append(heapq.heappop(self._sleepers)[2])
        for sleeper in woken:
            sleeper.wake()

    @property
    def sleepers(self) -> int:
        """How many sleep."""
        return len(self._sleepers)

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds` of this clock."""
        if self._begin_sleep(seconds):
            sleeper = ThreadWaiter(Criticality.CRITICAL)
            if self._add_sleeper(seconds, sleeper):
                sleeper.wait(math.inf)

    async def sleep_async(self, seconds: float) -> None:
        """Pause this task for `seconds` of this clock; a cancellation ends the pause."""
        if self._begin_sleep(seconds):
            sleeper = TaskWaiter(Criticality.CRITICAL)
            if self._add_sleeper(seconds, sleeper):
                try:
                    await sleeper.wait()
                except BaseException:
                    self._remove_sleeper(sleeper)
                    raise
                return
        await checkpoint()

    def _begin_sleep(self, seconds: float) -> bool:
        with self._lock:
            self.sleeps.append(seconds)
            if self.auto:
                self._now += max(0.0, seconds)
        return not self.auto

    def _add_sleeper(self, seconds: float, sleeper: TaskWaiter | ThreadWaiter) -> bool:
        with self._lock:
            if seconds <= 0:
                return False
            heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), sleeper))
            return True

    def _remove_sleeper(self, sleeper: TaskWaiter) -> None:
        with self._lock:
            self._sleepers = [entry for entry in self._sleepers if entry[2] is not sleeper]
            heapq.heapify(self._sleepers)
