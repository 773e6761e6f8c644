"""At most so many calls at once, and a bounded queue for the rest.

What lives here: taking a slot, waiting for one, giving it back, from tasks of any loop and from threads alike. What
does not: whose turn it is (`_slots`), and a limit that finds itself (`adaptive`).
"""

from dataclasses import dataclass
from math import inf
from threading import Lock
from typing import NoReturn

from cqox.errors import BulkheadFull, DeadlineExceeded
from cqox.resilience._ambient import Ambient
from cqox.resilience._clock import Clock, TimeSource, bind_clock
from cqox.resilience._part import Gate, Permit
from cqox.resilience._ranges import check_count
from cqox.resilience._slots import Slots
from cqox.resilience._waiter import TaskWaiter, ThreadWaiter, Waiter, running_loop
from cqox.resilience.criticality import current_criticality

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


class Bulkhead(Gate):
    """Lets `max_concurrent` calls in at once, lets `max_queued` wait, and refuses the rest with `BulkheadFull`.

    Who waited longest comes next, the more critical before the less. Where the queue is full, a call that is more
    critical takes the place of the latest of the least critical, which is refused.

    A cancellation while a call waits gives up its place; a slot that was handed over in the same moment goes to the
    next. A thread waits no longer than its deadline, and where it runs an event loop it never waits: the slot might
    be held by a task of that very loop. One bulkhead may be shared by threads and loops.
    """

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
        self.name = name
        self._clock = bind_clock(f"Bulkhead {name!r}", clock)
        self._lock = Lock()
        self._slots = Slots[Waiter](max_concurrent, max_queued)
        self._admitted = self._rejected = self._abandoned = 0
        self._slot = _Slot(self)

    def admit(self, deadline: Ambient | None) -> Permit | None:
        """Take a slot if one is free; None where the call may wait for one.

        Raises:
            BulkheadFull: neither a slot nor a place in the queue is free.
        """
        with self._lock:
            if self._slots.enter():
                self._admitted += 1
                return self._slot
            may_wait = self._slots.queue_limit > 0
        if not may_wait:
            self._refuse()
        return None

    async def admit_waiting(self, deadline: Ambient | None) -> Permit:
        """Wait for a slot.

        Raises:
            BulkheadFull: there was no place in the queue, or a more critical call took it.
        """
        waiter = TaskWaiter(current_criticality())
        if self._enter_or_line_up(waiter):
            return self._slot
        try:
            await waiter.wait()
        except BaseException:
            self._give_up(waiter)
            raise
        if not waiter.granted:
            self._refuse(counted=True)
        return self._slot

    def admit_blocking(self, deadline: Ambient | None) -> Permit:
        """Block this thread until there is a slot.

        Raises:
            BulkheadFull: as for `admit_waiting`, or this thread runs an event loop.
            DeadlineExceeded: the deadline passed while it waited.
        """
        if running_loop() is not None:
            self._refuse()
        waiter = ThreadWaiter(current_criticality())
        if self._enter_or_line_up(waiter):
            return self._slot
        try:
            woken = waiter.wait(inf if deadline is None else deadline.remaining())
        except BaseException:
            self._give_up(waiter)
            raise
        if not woken and deadline is not None and self._step_out(waiter):
            raise DeadlineExceeded(deadline.seconds, before_call=True)
        if not waiter.granted:
            self._refuse(counted=True)
        return self._slot

    def release(self) -> None:
        """Give one slot back."""
        with self._lock:
            waiter = self._next()
        self._wake(waiter)

    def reconfigure(self, *, max_concurrent: int | None = None, max_queued: int | None = None) -> None:
        """Go on with other limits; what is None stays as it is.

        Calls that run go on. Calls that wait are let in or refused as the new limits have it.

        Raises:
            ValueError: a limit is out of its range; nothing is changed.
        """
        slots = self._slots
        with self._lock:
            limit = slots.limit if max_concurrent is None else check_count("max_concurrent", max_concurrent)
            queue_limit = slots.queue_limit if max_queued is None else check_count("max_queued", max_queued, least=0)
            granted, evicted = slots.resize(limit, queue_limit)
            self._rejected += len(evicted)
            for waiter in granted:
                self._grant(waiter)
        for waiter in granted:
            self._wake(waiter)
        for waiter in evicted:
            waiter.wake()

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

    def _enter_or_line_up(self, waiter: Waiter) -> bool:
        with self._lock:
            if self._slots.enter():
                self._admitted += 1
                return True
            queued, evicted = self._slots.line_up(waiter)
            self._rejected += evicted is not None
        if evicted is not None:
            evicted.wake()
        if not queued:
            self._refuse()
        return False

    def _refuse(self, *, counted: bool = False) -> NoReturn:
        if not counted:
            with self._lock:
                self._rejected += 1
        self.refuse(BulkheadFull(self.name), self._clock.peek)

    def _step_out(self, waiter: Waiter) -> bool:
        with self._lock:
            if not self._slots.step_out(waiter):
                return False
            self._abandoned += 1
            return True

    def _give_up(self, waiter: Waiter) -> None:
        """Leave the queue; a slot that was handed over meanwhile goes to the next."""
        if not self._step_out(waiter):
            self._wake(self._pass_on(waiter))

    def _pass_on(self, waiter: Waiter) -> Waiter | None:
        """Take back what `waiter` was granted, once, and grant it to the next."""
        with self._lock:
            if not waiter.granted:
                return None
            waiter.granted = False
            self._admitted -= 1
            self._abandoned += 1
            return self._next()

    def _next(self) -> Waiter | None:
        waiter = self._slots.leave()
        if waiter is not None:
            self._grant(waiter)
        return waiter

    def _grant(self, waiter: Waiter) -> None:
        waiter.granted = True
        self._admitted += 1

    def _wake(self, waiter: Waiter | None) -> None:
        while waiter is not None and not waiter.wake():
            waiter = self._pass_on(waiter)


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
