"""Fair bulkhead: a limit on concurrent calls whose slots and queue are shared by callers.

Who gets a slot is decided in `fair_slots`; the caller comes from `runtime.caller`.
"""

from collections.abc import Hashable

from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.limits.fair_slots import FairSlots
from cqox.resilience.pipeline.part import Permit
from cqox.resilience.pipeline.waiter import Waiter
from cqox.resilience.runtime.caller import current_caller
from cqox.resilience.runtime.clock import Clock, TimeSource

__all__ = ["FairBulkhead"]


class FairBulkhead(Bulkhead):
    """A bulkhead that no caller can fill for the others.

    Slots go to callers in turn, by the time that they have used. One slot and a part of the queue are kept for callers
    that have little; where there is one caller only, it is a `Bulkhead`. Criticality orders the calls of each caller.
    """

    __slots__ = ("_fair",)

    def __init__(
        self,
        max_concurrent: int,
        max_queued: int = 0,
        *,
        name: str = "bulkhead",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a bulkhead; see `Bulkhead`."""
        super().__init__(max_concurrent, max_queued, name=name, clock=clock)
        self._fair = self._slots = FairSlots[Waiter](max_concurrent, max_queued, self._clock.peek)

    def renew(self) -> None:
        """See `Part.renew`."""
        limit, queue_limit = self._slots.limit, self._slots.queue_limit
        super().renew()
        self._fair = self._slots = FairSlots[Waiter](limit, queue_limit, self._clock.peek)

    @property
    def kind(self) -> str:
        """The kind of part in events and metrics: a bulkhead."""
        return Bulkhead.__name__

    def new_permit(self) -> Permit:
        """Return the permit of a call that has just acquired a slot."""
        return _FairPermit(self, current_caller(), self._clock.peek())

    def load(self) -> float:
        """Return the running and waiting calls of the current caller as a share of all slots and places."""
        with self._lock:
            return self._fair.calls(current_caller()) / (self._fair.limit + self._fair.queue_limit)

    def is_full(self) -> bool:
        """Return whether a call of the current caller would be rejected."""
        with self._lock:
            return self._fair.is_full_for(current_caller())

    def queued_before(self) -> int | None:
        """Return the number of waiting calls before a new one of the current caller; None where it need not wait."""
        with self._lock:
            key = current_caller()
            return None if self._fair.is_free_for(key) else self._fair.ahead(key)

    def release(self) -> None:
        """Release one slot of the current caller."""
        self.release_of(current_caller(), 0.0)

    def release_of(self, key: Hashable, seconds: float) -> None:
        """Release one slot of a caller, in use for `seconds`."""
        granted = list[Waiter]()
        with self._lock:
            waiter = self._fair.leave(key, seconds)
            while waiter is not None:
                self._grant(waiter)
                granted.append(waiter)
                waiter = self._fair.claim()
        for waiter in granted:
            self._wake(waiter)

    def held_since(self, began: float) -> float:
        """Return the seconds since a time of the clock."""
        return max(0.0, self._clock.peek() - began)

    def _enter(self) -> bool:
        return self._fair.enter(current_caller())

    def _enqueue(self, waiter: Waiter) -> tuple[bool, Waiter | None]:
        waiter.caller = current_caller()
        return self._fair.enqueue(waiter)

    def _next(self, former: Waiter | None = None) -> Waiter | None:
        waiter = self._fair.leave(current_caller() if former is None else former.caller)
        if waiter is not None:
            self._grant(waiter)
        return waiter


class _FairPermit(Permit):
    """Permit of one call: one slot of its caller."""

    __slots__ = ("_began", "_bulkhead", "_key")

    lasting = True

    def __init__(self, bulkhead: FairBulkhead, key: Hashable, began: float) -> None:
        self._bulkhead = bulkhead
        self._key = key
        self._began = began

    def succeed(self, value: object) -> None:
        self._bulkhead.release_of(self._key, self._bulkhead.held_since(self._began))

    def fail(self, error: BaseException) -> None:
        self.succeed(error)
