"""Retry budget of a dependency: a ratio of its first attempts, with a floor for low traffic.

Without a budget, retries multiply the load on a dependency that is already failing. One budget is shared by all callers
of one dependency. It only permits or denies retries: it delays nothing, and a first attempt is never denied.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Self

from cqox.resilience.pipeline.key_twins import shallow_copy, twins_of
from cqox.resilience.pipeline.tally import BudgetTally, Tally
from cqox.resilience.runtime.atomic_counter import AtomicCounter
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.process_bound import ProcessBound
from cqox.resilience.runtime.ranges import check_name, percentage_hint
from cqox.resilience.runtime.token_bucket import TokenBucket, check_rate

__all__ = ["RetryBudget", "RetryBudgetSnapshot", "check_ratio"]

# A budget accumulates at most what it earns in this time, so that a quiet night does not fund a retry storm.
_SAVED_SECONDS = 10.0
# Number of slices into which that time is divided to count first attempts.
_SLICES = 20
# The clock is read once per this many first attempts, as most calls need nothing else.
_LOOK_AT_EVERY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetSnapshot:
    """Snapshot of a budget; the totals cover its lifetime.

    Attributes:
        name: name of the budget.
        available: retries that it would grant now, including fractions.
        capacity: the most that it accumulates at present.
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


class RetryBudget(ProcessBound):
    """A retry budget: `ratio` of the first attempts plus `floor_per_second`; it starts full.

    Unused retries accumulate up to what the floor yields in ten seconds, or `ratio` of the first attempts of the last
    ten seconds where that is more, and at least one retry. In any interval the granted retries are at most the
    accumulated ones, plus `ratio` times the first attempts, plus the floor times the seconds.
    """

    __slots__ = (
        "__weakref__",
        "_arrivals",
        "_bucket",
        "_clock",
        "_first_attempts",
        "_lock",
        "_ratio",
        "_recent",
        "_tally",
        "_twins",
        "name",
    )

    _first_attempts: int

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
            ratio: retries per first attempt, from 0 to 1: 0.2 for 20%.
            floor_per_second: retries per second independent of the first attempts, at least 0.
            name: its name in snapshots.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        check_ratio("ratio", ratio)
        check_rate("floor_per_second", floor_per_second)
        self._clock = bind_clock(f"RetryBudget {name!r}", clock)
        self._start(ratio, floor_per_second)

    def for_key(self, key: Hashable) -> Self:
        """Return the budget of `key`, with these settings; the same one as long as anything holds it."""
        return twins_of(self).of(key, self._twin)

    def tally(self) -> Tally:
        """Return what counts its retries."""
        return self._tally

    def first_attempt(self) -> None:
        """Count a first attempt, which earns `ratio` of a retry. It is never delayed or denied."""
        if not self._arrivals.add() % _LOOK_AT_EVERY:
            try:
                now = self._clock.now()
            except RuntimeError:  # the clock of a loop that does not run here; a retry raises it
                return
            with self._lock:
                self._recent.see(now, self._arrivals.value())

    def may_retry(self) -> bool:
        """Take one retry from the budget; return False where it is exhausted, so that the last error is final."""
        now = self._clock.checked_now()
        with self._lock:
            self._pay_in(now)
            if self._bucket.take(now):
                self._tally.granted += 1
                return True
            self._tally.refused += 1
            return False

    def reconfigure(self, *, ratio: float | None = None, floor_per_second: float | None = None) -> None:
        """Change settings and keep accumulated retries up to the new capacity; None leaves a setting unchanged.

        Raises:
            ValueError: a setting is out of its range; no setting is changed.
        """
        self.prepare(ratio=ratio, floor_per_second=floor_per_second)()

    def prepare(self, *, ratio: float | None = None, floor_per_second: float | None = None) -> Callable[[], None]:
        """Validate changes without applying them; see `reconfigure`.

        Returns:
            A function that applies them.

        Raises:
            ValueError: a setting is out of its range.
        """
        # A clock that cannot be used here must fail before anything else is changed.
        self._clock.checked_now()
        ratio = None if ratio is None else check_ratio("ratio", ratio)
        floor = None if floor_per_second is None else check_rate("floor_per_second", floor_per_second)

        def change() -> None:
            self._resize(ratio, floor)
            for budget in twins_of(self).all():
                budget._resize(ratio, floor)

        return change

    def __repr__(self) -> str:
        return f"<RetryBudget {self.name}: {self._ratio:g} per first attempt, {self._bucket.rate:g} per second>"

    def snapshot(self) -> RetryBudgetSnapshot:
        """Return the available retries and the totals."""
        now = self._clock.peek()
        with self._lock:
            self._pay_in(now)
            return RetryBudgetSnapshot(
                name=self.name,
                available=self._bucket.level(now),
                capacity=self._bucket.capacity,
                first_attempts=self._first_attempts,
                granted=self._tally.granted,
                refused=self._tally.refused,
            )

    def _pay_in(self, now: float) -> None:
        """Credit first attempts since the last update; no retry was taken meanwhile, so crediting late is exact."""
        arrived = self._arrivals.value()
        self._recent.see(now, arrived)
        self._bucket.resize(now, rate=self._bucket.rate, capacity=self._capacity(self._bucket.rate))
        self._bucket.add(self._ratio * (arrived - self._first_attempts))
        self._first_attempts = arrived

    def _twin(self) -> Self:
        twin = shallow_copy(self)
        twin._clock = self._clock.unbound()
        twin._start(self._ratio, self._bucket.rate)
        return twin

    def _start(self, ratio: float, floor_per_second: float) -> None:
        self._ratio = ratio
        self._lock = Lock()
        self._arrivals = AtomicCounter()
        self._recent = _Recent()
        self._bucket = TokenBucket(floor_per_second, _floor_capacity(floor_per_second))
        self._first_attempts = 0
        self._tally = BudgetTally()

    def _resize(self, ratio: float | None, floor_per_second: float | None) -> None:
        now = self._clock.checked_now()
        with self._lock:
            self._pay_in(now)
            self._ratio = self._ratio if ratio is None else ratio
            floor = self._bucket.rate if floor_per_second is None else floor_per_second
            self._bucket.resize(now, rate=floor, capacity=self._capacity(floor))

    def _capacity(self, floor_per_second: float) -> float:
        return max(_floor_capacity(floor_per_second), self._ratio * self._recent.count)


class _Recent:
    """Sliding count of first attempts in the last ten seconds, without the current slice.

    Attributes:
        count: number of first attempts.
    """

    __slots__ = ("_before", "_slices", "count")

    _WIDTH = _SAVED_SECONDS / _SLICES

    def __init__(self) -> None:
        self.count = 0
        self._before = 0
        # Each slice with the total by its end; the last one is the current slice.
        self._slices: deque[tuple[int, int]] = deque()

    def see(self, now: float, arrived: int) -> None:
        """Record `arrived` as the total at `now`; a time that is NaN or goes back counts as the last one."""
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


def check_ratio(name: str, value: object) -> float:
    """Return `value` as a ratio of retries to first attempts, from 0 to 1.

    Raises:
        ValueError: it is not a number, or outside that range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        allowed = f"{name} must be retries per first attempt, from 0 to 1"
        raise ValueError(f"{allowed}, not {value!r}{percentage_hint(value)}")
    return float(value)


def _floor_capacity(floor_per_second: float) -> float:
    return max(1.0, floor_per_second * _SAVED_SECONDS)
