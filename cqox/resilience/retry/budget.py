"""How many retries a dependency may get: a share of its first attempts, and a floor for quiet times.

Without a budget, retries multiply the load on what is failing already. One budget is shared by every caller of one
dependency. It only ever says whether a retry may be made: it delays nothing, and a first attempt never asks it.
"""

import math
from collections import deque
from dataclasses import dataclass
from threading import Lock

from cqox.resilience.runtime.atomic_counter import AtomicCounter
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.ranges import check_name
from cqox.resilience.runtime.token_bucket import TokenBucket, check_rate

__all__ = ["RetryBudget", "RetryBudgetSnapshot"]

# A budget saves up at most what it earns in this time, so that a quiet night does not pay for a storm.
_SAVED_SECONDS = 10.0
# How finely first attempts are told apart by their time, as a share of that time.
_SLICES = 20
# The clock is read at every so many first attempts, as most calls need nothing else.
_LOOK_AT_EVERY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetSnapshot:
    """A budget at one moment; the totals are those since it was made.

    Attributes:
        name: name of the budget.
        available: retries that it would grant at once, a part of one included.
        capacity: the most that it saves up at present.
        first_attempts: first attempts counted.
        granted: retries granted.
        refused: retries refused.
    """

    name: str
    available: float
    capacity: float
    first_attempts: int
    granted: int
    refused: int


class RetryBudget:
    """Grants retries for `ratio` of the first attempts and for `floor_per_second` as well; it starts full.

    What is not used is saved up: at most what the floor yields in ten seconds, or `ratio` of the first attempts of the
    last ten seconds where that is more, and at least one retry. In any stretch of time the retries granted are at most
    what was saved up, plus `ratio` times the first attempts, plus the floor times the seconds.
    """

    __slots__ = (
        "_arrivals",
        "_bucket",
        "_clock",
        "_first_attempts",
        "_granted",
        "_lock",
        "_ratio",
        "_recent",
        "_refused",
        "name",
    )

    def __init__(
        self,
        ratio: float = 0.2,
        floor_per_second: float = 3.0,
        *,
        name: str = "retry budget",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a budget.

        Args:
            ratio: retries per first attempt, at least 0.
            floor_per_second: retries per second whatever the first attempts are, at least 0.
            name: what snapshots call it.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self._ratio = check_rate("ratio", ratio)
        check_rate("floor_per_second", floor_per_second)
        self._clock = bind_clock(f"RetryBudget {name!r}", clock)
        self._lock = Lock()
        self._arrivals = AtomicCounter()
        self._recent = _Recent()
        self._bucket = TokenBucket(floor_per_second, _floor_capacity(floor_per_second))
        self._first_attempts = self._granted = self._refused = 0

    def first_attempt(self) -> None:
        """Count a first attempt: it earns its share of a retry. It is never delayed or refused."""
        if not self._arrivals.add() % _LOOK_AT_EVERY:
            try:
                now = self._clock.now()
            except RuntimeError:  # the clock of a loop that does not run here, which a retry is told
                return
            with self._lock:
                self._recent.see(now, self._arrivals.value())

    def may_retry(self) -> bool:
        """Take one retry out of the budget; False where there is none, so that the last error is final."""
        now = self._clock.checked_now()
        with self._lock:
            self._pay_in(now)
            if self._bucket.take(now):
                self._granted += 1
                return True
            self._refused += 1
            return False

    def reconfigure(self, *, ratio: float | None = None, floor_per_second: float | None = None) -> None:
        """Go on with other settings, and with what is saved up as far as it fits; what is None stays as it is.

        Raises:
            ValueError: a setting is out of its range; nothing is changed.
        """
        now = self._clock.checked_now()
        with self._lock:
            self._pay_in(now)
            ratio = self._ratio if ratio is None else check_rate("ratio", ratio)
            floor = self._bucket.rate
            if floor_per_second is not None:
                floor = check_rate("floor_per_second", floor_per_second)
            self._ratio = ratio
            self._bucket.resize(now, rate=floor, capacity=self._capacity(floor))

    def snapshot(self) -> RetryBudgetSnapshot:
        """What it would grant, and the totals."""
        now = self._clock.peek()
        with self._lock:
            self._pay_in(now)
            return RetryBudgetSnapshot(
                name=self.name,
                available=self._bucket.level(now),
                capacity=self._bucket.capacity,
                first_attempts=self._first_attempts,
                granted=self._granted,
                refused=self._refused,
            )

    def _pay_in(self, now: float) -> None:
        """What first attempts have earned since the last look: as nothing was taken meanwhile, it is the same now."""
        arrived = self._arrivals.value()
        self._recent.see(now, arrived)
        self._bucket.resize(now, rate=self._bucket.rate, capacity=self._capacity(self._bucket.rate))
        self._bucket.add(self._ratio * (arrived - self._first_attempts))
        self._first_attempts = arrived

    def _capacity(self, floor_per_second: float) -> float:
        return max(_floor_capacity(floor_per_second), self._ratio * self._recent.count)


class _Recent:
    """How many first attempts there were in the last ten seconds, apart from the twentieth of them that is not over.

    Attributes:
        count: how many.
    """

    __slots__ = ("_before", "_slices", "count")

    _WIDTH = _SAVED_SECONDS / _SLICES

    def __init__(self) -> None:
        self.count = 0
        self._before = 0
        # Each slice of time with the number that had arrived by its end; the last one is the present.
        self._slices: deque[tuple[int, int]] = deque()

    def see(self, now: float, arrived: int) -> None:
        """There were `arrived` in all by `now`; a time that cannot be read, or goes back, counts as the last."""
        slices = self._slices
        tick = slices[-1][0] if slices else -math.inf
        if now // self._WIDTH > tick:
            tick = int(now // self._WIDTH)
        elif slices:
            slices.pop()
        else:
            return
        while slices and slices[0][0] < tick - _SLICES:
            self._before = slices.popleft()[1]
        self.count = slices[-1][1] - self._before if slices else 0
        slices.append((int(tick), arrived))


def _floor_capacity(floor_per_second: float) -> float:
    return max(1.0, floor_per_second * _SAVED_SECONDS)
