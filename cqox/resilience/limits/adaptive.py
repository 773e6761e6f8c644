"""Adaptive concurrency limit: additive increase, multiplicative decrease (AIMD).

This module adjusts the limit; slots and their queue are in `slot_gate`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cqox.resilience.limits.slot_gate import SlotGate
from cqox.resilience.pipeline.part import Permit
from cqox.resilience.pipeline.permit import TimeSpent, is_timeout_or_cancellation
from cqox.resilience.retry.classification import is_overload
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.queueing import seconds_in_queues
from cqox.resilience.runtime.ranges import Seconds, check_callable, check_count, check_seconds, check_share
from cqox.resilience.runtime.token_bucket import check_rate

__all__ = ["AdaptiveLimit", "AdaptiveLimitSnapshot"]


class Aimd:
    """Pure AIMD arithmetic.

    Attributes:
        limit: current limit, from `least` to `most`; its integer part applies.
        generation: number of decreases so far.
    """

    __slots__ = ("decrease", "generation", "increase", "least", "limit", "most", "start")

    def __init__(self, start: int, *, least: int, most: int, increase: float, decrease: float) -> None:
        self.start = start
        self.limit = float(start)
        self.least = least
        self.most = most
        self.increase = increase
        self.decrease = decrease
        self.generation = 0

    def restarted(self) -> "Aimd":
        """Return the arithmetic of another limit, which begins where this one began, as far as its bounds allow."""
        start = min(max(self.start, self.least), self.most)
        return Aimd(start, least=self.least, most=self.most, increase=self.increase, decrease=self.decrease)

    def confine(self, least: int, most: int) -> None:
        """Change the bounds, and the limit to stay within them."""
        self.least, self.most = least, most
        self.limit = min(max(self.limit, float(least)), float(most))

    def succeeded(self, running: int) -> None:
        """Record a success while `running` calls, itself included, were in progress.

        The limit grows by `increase` per round of `limit` successes. It does not grow while less than half of it is in
        use, as successes then give no evidence for a higher limit.
        """
        if 2 * running >= self.limit:
            self.limit = min(float(self.most), self.limit + self.increase / self.limit)

    def overloaded(self, generation: int) -> None:
        """Record an overload of a call that was admitted in `generation`.

        Concurrent calls report the same overload, so the limit decreases only once for all of them.
        """
        if generation == self.generation:
            self.limit = max(float(self.least), self.limit * self.decrease)
            self.generation += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveLimitSnapshot:
    """Snapshot of an adaptive limit; the totals cover its lifetime.

    Attributes:
        name: name of the limit.
        limit: current limit on concurrent calls.
        running: running calls.
        queued: waiting calls.
        admitted: calls that got a slot.
        rejected: calls rejected, on arrival or while they waited.
        abandoned: calls that were cancelled or timed out while they waited.
        cuts: number of decreases of the limit.
    """

    name: str
    limit: int
    running: int
    queued: int
    admitted: int
    rejected: int
    abandoned: int
    cuts: int


class AdaptiveLimit(SlotGate):
    """A bulkhead whose number of slots adapts to the capacity of the dependency.

    The limit grows by `increase` per round of successes while at least half of it is in use. An overload multiplies it
    by `decrease`: a timeout, 429, 503, 504, a full pool, a call slower than `slow_call_seconds`, or a deadline that
    passed after the callee had its fair share of the time. It stays within `min_limit` and `max_limit`. Other failures
    and cancellations do not change it.
    """

    __slots__ = ("_aimd", "_overloads", "_slow_call_seconds")

    def __init__(
        self,
        initial_limit: int = 20,
        *,
        min_limit: int = 1,
        max_limit: int = 200,
        max_queued: int = 0,
        increase: float = 1.0,
        decrease: float = 0.9,
        slow_call_seconds: Seconds | None = None,
        overloads: Callable[[Exception], bool] = is_overload,
        name: str = "adaptive limit",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a limit.

        Args:
            initial_limit: initial number of slots, from `min_limit` to `max_limit`.
            min_limit: lower bound of the limit, at least 1.
            max_limit: upper bound of the limit, at least `min_limit`.
            max_queued: length of the queue, at least 0.
            increase: slots gained per round of successes, a finite number above 0.
            decrease: factor applied to the limit on an overload, above 0 and below 1.
            slow_call_seconds: duration in seconds or as a `timedelta`, above 0, from which a call counts as an
                overload; None for no such bound.
            overloads: predicate that returns whether a failure is an overload.
            name: its name in rejections and snapshots.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        check_count("min_limit", min_limit)
        check_count("max_limit", max_limit, least=min_limit)
        if check_count("initial_limit", initial_limit, least=min_limit) > max_limit:
            raise ValueError(f"initial_limit must be at most max_limit, which is {max_limit}, not {initial_limit!r}")
        check_count("max_queued", max_queued, least=0)
        if check_rate("increase", increase) == 0:
            raise ValueError(f"increase must be above 0, not {increase!r}")
        if check_share("decrease", decrease) == 1:
            raise ValueError(f"decrease must be below 1, not {decrease!r}")
        if slow_call_seconds is not None:
            slow_call_seconds = check_seconds("slow_call_seconds", slow_call_seconds, zero=False)
        check_callable("overloads", overloads, takes=1)
        super().__init__(name, initial_limit, max_queued, clock)
        self._slow_call_seconds = slow_call_seconds
        self._overloads = overloads
        self._aimd = Aimd(initial_limit, least=min_limit, most=max_limit, increase=increase, decrease=decrease)

    def renew(self) -> None:
        """See `Part.renew`."""
        super().renew()
        self._aimd = self._aimd.restarted()
        self._slots.resize(self.limit, self._slots.queue_limit)

    @property
    def limit(self) -> int:
        """Current limit on concurrent calls."""
        return int(self._aimd.limit)

    def new_permit(self) -> Permit:
        """Create a permit with the start time of the call and the generation of the limit."""
        started = 0.0 if self._slow_call_seconds is None else self._clock.checked_now()
        return _Flight(self, self._aimd.generation, started)

    def reconfigure(
        self, *, min_limit: int | None = None, max_limit: int | None = None, max_queued: int | None = None
    ) -> None:
        """Change the bounds; None leaves a bound unchanged.

        Raises:
            ValueError: a bound is out of its range; no bound is changed.
        """
        self.prepare(min_limit=min_limit, max_limit=max_limit, max_queued=max_queued)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        aimd = self._aimd
        fewest, most_slots, queue = (changes.get(name) for name in ("min_limit", "max_limit", "max_queued"))
        least = aimd.least if fewest is None else check_count("min_limit", fewest)
        most = check_count("max_limit", aimd.most if most_slots is None else most_slots, least=least)
        queue_limit = None if queue is None else check_count("max_queued", queue, least=0)

        def change() -> None:
            self._confine(least, most, queue_limit)
            for limit in self.with_twins()[1:]:
                limit._confine(least, most, queue_limit)

        return change

    def snapshot(self) -> AdaptiveLimitSnapshot:
        """Return the limit, the calls in progress and the totals."""
        with self._lock:
            return AdaptiveLimitSnapshot(
                name=self.name,
                limit=self.limit,
                running=self._slots.taken,
                queued=self._slots.waiting,
                admitted=self._tally.admitted,
                rejected=self._tally.rejected,
                abandoned=self._tally.abandoned,
                cuts=self._aimd.generation,
            )

    def describe(self) -> str:
        """See `Part.describe`."""
        aimd = self._aimd
        return f"adaptive limit: {self.limit} concurrent calls now, between {aimd.least} and {aimd.most}"

    def failed(self, flight: "_Flight", error: BaseException) -> None:
        """Adjust the limit if the failure is an overload, and release the slot."""
        overloaded = False
        try:
            overloaded = isinstance(error, Exception) and self._overloads(error)
        finally:
            if overloaded:
                self.finished(flight, overloaded=True)
            else:
                self.release()

    def _confine(self, least: int, most: int, queue_limit: int | None) -> None:
        with self._lock:
            self._aimd.confine(least, most)
        self.resize(self.limit, queue_limit)

    def _seconds_of(self, flight: "_Flight", slow: float) -> float:
        seconds = self._clock.checked_now() - flight.started
        return seconds if seconds < slow else seconds - seconds_in_queues(self._clock.now, flight.started)

    def finished(self, flight: "_Flight", *, overloaded: bool) -> None:
        """Adjust the limit by the outcome of a call, and release its slot."""
        aimd, slow = self._aimd, self._slow_call_seconds
        try:
            overloaded = overloaded or (slow is not None and self._seconds_of(flight, slow) >= slow)
            with self._lock:
                if overloaded:
                    aimd.overloaded(flight.generation)
                else:
                    aimd.succeeded(self._slots.taken)
                moved = int(aimd.limit) != self._slots.limit
            if moved:
                self.resize(int(aimd.limit), None)
        finally:
            self.release()


class _Flight(Permit):
    """Permit of one call under an adaptive limit."""

    __slots__ = ("_gate", "generation", "started")

    lasting = True

    def __init__(self, gate: AdaptiveLimit, generation: int, started: float) -> None:
        self._gate = gate
        self.generation = generation
        self.started = started

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        self._gate.finished(self, overloaded=False)

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        self._gate.failed(self, error)

    def fail_within_deadline(self, spent: TimeSpent, error: BaseException) -> None:
        """See `Permit.fail_within_deadline`."""
        if is_timeout_or_cancellation(error) and spent.was_fair and spent.is_over:
            self._gate.finished(self, overloaded=True)
        else:
            self._gate.failed(self, error)
