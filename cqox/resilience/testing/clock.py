"""A fake clock for tests."""

import heapq
import itertools
import math
from threading import Lock

from anyio.lowlevel import checkpoint

from cqox.resilience.pipeline.waiter import TaskWaiter, ThreadWaiter
from cqox.resilience.runtime.criticality import Criticality
from cqox.resilience.runtime.ranges import check_flag, check_seconds

__all__ = ["FakeClock"]


class FakeClock:
    """A fake clock for `clock=`: with `auto`, a sleep advances it and returns at once; else it waits for `advance`.

    It may be shared by threads and event loops. Cancel scopes use the time of their event loop, not this clock: use
    `VirtualTimeLoop` or Trio's `MockClock` for them.

    Attributes:
        auto: True where sleeping advances the clock.
        sleeps: seconds of every sleep, in order of their start.
    """

    def __init__(self, auto: bool = True, *, start: float = 0.0) -> None:
        """Make a clock that starts at `start` seconds."""
        self.auto = check_flag("auto", auto)
        self.sleeps: list[float] = []
        self._now = start
        self._lock = Lock()
        self._sleepers: list[tuple[float, int, TaskWaiter | ThreadWaiter]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance the clock and wake the sleepers whose time has come, earliest first.

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
        """Number of current sleepers."""
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
