"""Bulkhead: a fixed limit on concurrent calls, with a bounded queue.

Waiting for slots is implemented in `slot_gate`; `adaptive` has the limit that adapts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cqox.resilience.limits.slot_gate import SlotGate
from cqox.resilience.pipeline.part import Permit
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.ranges import check_count

__all__ = ["Bulkhead", "BulkheadSnapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadSnapshot:
    """Snapshot of a bulkhead; the totals cover its lifetime.

    Attributes:
        name: name of the bulkhead.
        max_concurrent: number of slots.
        max_queued: length of the queue.
        running: slots in use.
        queued: waiting calls.
        admitted: calls that got a slot.
        rejected: calls rejected, on arrival or while they waited.
        abandoned: calls that were cancelled or timed out while they waited.
    """

    name: str
    max_concurrent: int
    max_queued: int
    running: int
    queued: int
    admitted: int
    rejected: int
    abandoned: int


class Bulkhead(SlotGate):
    """A bulkhead: it admits `max_concurrent` calls, queues `max_queued`, and rejects the rest with `BulkheadFull`.

    The queue is ordered by criticality, then by arrival. Where it is full, a more critical call evicts the latest
    of the least critical calls, which is rejected.

    A cancellation of a waiting call leaves the queue; a slot that was granted at the same moment passes to the next
    call. A thread waits no longer than its deadline, and a thread that runs an event loop never waits: a task of the
    same loop might hold the slot. One bulkhead may be shared by threads and event loops.
    """

    __slots__ = ("_slot",)

    def __init__(
        self,
        max_concurrent: int,
        max_queued: int = 0,
        *,
        name: str = "bulkhead",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a bulkhead.

        Args:
            max_concurrent: number of slots, at least 1.
            max_queued: length of the queue, at least 0.
            name: its name in rejections and snapshots.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        check_count("max_concurrent", max_concurrent)
        check_count("max_queued", max_queued, least=0)
        super().__init__(name, max_concurrent, max_queued, clock)
        self._slot = _Slot(self)

    def renew(self) -> None:
        """See `Part.renew`."""
        super().renew()
        self._slot = _Slot(self)

    def new_permit(self) -> Permit:
        """Return the permit shared by all calls."""
        return self._slot

    def reconfigure(self, *, max_concurrent: int | None = None, max_queued: int | None = None) -> None:
        """Change the limits; None leaves a limit unchanged.

        Running calls continue. Waiting calls are admitted or rejected according to the new limits.

        Raises:
            ValueError: a limit is out of its range; no limit is changed.
        """
        self.prepare(max_concurrent=max_concurrent, max_queued=max_queued)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        slots, queue = changes.get("max_concurrent"), changes.get("max_queued")
        limit = None if slots is None else check_count("max_concurrent", slots)
        queue_limit = None if queue is None else check_count("max_queued", queue, least=0)

        def change() -> None:
            self.resize(limit, queue_limit)
            for bulkhead in self.with_twins()[1:]:
                bulkhead.resize(limit, queue_limit)

        return change

    def snapshot(self) -> BulkheadSnapshot:
        """Return the limits, the calls in progress and the totals."""
        with self._lock:
            return BulkheadSnapshot(
                name=self.name,
                max_concurrent=self._slots.limit,
                max_queued=self._slots.queue_limit,
                running=self._slots.taken,
                queued=self._slots.waiting,
                admitted=self._tally.admitted,
                rejected=self._tally.rejected,
                abandoned=self._tally.abandoned,
            )

    def describe(self) -> str:
        """See `Part.describe`."""
        slots = self._slots
        return f"bulkhead: at most {slots.limit} concurrent calls, {slots.queue_limit} waiting"


class _Slot(Permit):
    """Permit of one bulkhead, shared by all its calls."""

    __slots__ = ("_bulkhead",)

    lasting = True

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead

    def succeed(self, value: object) -> None:
        self._bulkhead.release()

    def fail(self, error: BaseException) -> None:
        self._bulkhead.release()
