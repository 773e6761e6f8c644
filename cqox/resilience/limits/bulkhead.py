"""At most so many calls at once, and a bounded queue for the rest.

What lives here: a fixed number of slots. What does not: how a slot is waited for (`_slot_gate`), and a number that
finds itself (`adaptive`).
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
    """A bulkhead at one moment; the totals are those since it was made.

    Attributes:
        name: name of the bulkhead.
        max_concurrent: slots there are.
        max_queued: places in the queue.
        running: slots in use.
        queued: calls that wait.
        admitted: calls that got a slot.
        rejected: calls refused, at once or while they waited.
        abandoned: calls that were cancelled, or ran out of time, while they waited.
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
    """Lets `max_concurrent` calls in at once, lets `max_queued` wait, and refuses the rest with `BulkheadFull`.

    Who waited longest comes next, the more critical before the less. Where the queue is full, a call that is more
    critical takes the place of the latest of the least critical, which is refused.

    A cancellation while a call waits gives up its place; a slot that was handed over in the same moment goes to the
    next. A thread waits no longer than its deadline, and where it runs an event loop it never waits: the slot might
    be held by a task of that very loop. One bulkhead may be shared by threads and loops.
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
            max_concurrent: slots, at least 1.
            max_queued: places in the queue, at least 0.
            name: what rejections and snapshots call it.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        check_count("max_concurrent", max_concurrent)
        check_count("max_queued", max_queued, least=0)
        super().__init__(name, max_concurrent, max_queued, clock)
        self._slot = _Slot(self)

    def new_permit(self) -> Permit:
        """All slots are alike."""
        return self._slot

    def reconfigure(self, *, max_concurrent: int | None = None, max_queued: int | None = None) -> None:
        """Go on with other limits; what is None stays as it is.

        Calls that run go on. Calls that wait are let in or refused as the new limits have it.

        Raises:
            ValueError: a limit is out of its range; nothing is changed.
        """
        self.prepare(max_concurrent=max_concurrent, max_queued=max_queued)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        slots, queue = changes.get("max_concurrent"), changes.get("max_queued")
        limit = None if slots is None else check_count("max_concurrent", slots)
        queue_limit = None if queue is None else check_count("max_queued", queue, least=0)
        return lambda: self.resize(limit, queue_limit)

    def snapshot(self) -> BulkheadSnapshot:
        """The limits, what is going on, and the totals."""
        with self._lock:
            return BulkheadSnapshot(
                name=self.name,
                max_concurrent=self._slots.limit,
                max_queued=self._slots.queue_limit,
                running=self._slots.taken,
                queued=self._slots.waiting,
                admitted=self._admitted,
                rejected=self._rejected,
                abandoned=self._abandoned,
            )

    def describe(self) -> str:
        """See `Part.describe`."""
        slots = self._slots
        return f"bulkhead: at most {slots.limit} calls at once, {slots.queue_limit} waiting"


class _Slot(Permit):
    """A slot of one bulkhead; as all its slots are alike, every call gets the same object."""

    __slots__ = ("_bulkhead",)

    lasting = True

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead

    def succeed(self, value: object) -> None:
        self._bulkhead.release()

    def fail(self, error: BaseException) -> None:
        self._bulkhead.release()
