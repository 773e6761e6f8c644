"""Base class of gates with slots and a queue: lock, waits and totals around the pure `slots`.

Tasks of any event loop and threads acquire, wait for and release slots. The order of the queue is decided in `slots`,
the number of slots in `bulkhead` and `adaptive`.
"""

from abc import abstractmethod
from math import inf
from threading import Lock
from typing import NoReturn

from cqox.errors import BulkheadFull, DeadlineExceeded
from cqox.resilience.limits.slots import Slots
from cqox.resilience.pipeline.part import Gate, Permit
from cqox.resilience.pipeline.tally import AdmissionTally, Tally
from cqox.resilience.pipeline.waiter import TaskWaiter, ThreadWaiter, Waiter
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.criticality import current_criticality
from cqox.resilience.runtime.event_loop import task_or_loop
from cqox.resilience.runtime.queueing import QueueWait
from cqox.resilience.runtime.ranges import check_name

__all__ = ["SlotGate"]


class SlotGate(Gate):
    """A gate with slots and a queue. Its permit releases one slot by `release`."""

    __slots__ = ("_clock", "_lock", "_slots", "_tally", "name")

    def __init__(self, name: str, limit: int, queue_limit: int, clock: Clock | TimeSource | None) -> None:
        self.name = check_name(name)
        self._clock = bind_clock(f"{self.kind} {name!r}", clock)
        self._lock = Lock()
        self._slots = Slots[Waiter](limit, queue_limit)
        self._tally = AdmissionTally()

    def renew(self) -> None:
        """See `Part.renew`."""
        self._clock = self._clock.unbound()
        self._lock = Lock()
        self._slots = Slots[Waiter](self._slots.limit, self._slots.queue_limit)
        self._tally = AdmissionTally()

    def tally(self) -> Tally:
        """See `Part.tally`."""
        return self._tally

    @abstractmethod
    def new_permit(self) -> Permit:
        """Return the permit of a call that has just acquired a slot."""

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """Acquire a slot if one is free; return None where the call may wait for one.

        Raises:
            BulkheadFull: no slot is free and there is no queue.
        """
        with self._lock:
            entered = self._enter()
            self._tally.admitted += entered
            may_wait = self._slots.queue_limit > 0
        if entered:
            return self._permit()
        if not may_wait:
            self._refuse()
        return None

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """Wait for a slot.

        Raises:
            BulkheadFull: the queue was full, or a more critical call evicted this one.
        """
        waiter = TaskWaiter(current_criticality())
        if self._enter_or_enqueue(waiter):
            return self._permit()
        try:
            with QueueWait(self._clock, None if deadline is None else deadline.clock):
                await waiter.wait()
        except BaseException:
            self._stop_waiting(waiter)
            raise
        if not waiter.granted:
            self._refuse(counted=True)
        return self._permit()

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """Block this thread until a slot is free.

        Raises:
            BulkheadFull: as for `admit_waiting`, or this thread runs an event loop.
            DeadlineExceeded: the deadline passed while it waited.
        """
        if task_or_loop() is not None:
            self._refuse()
        waiter = ThreadWaiter(current_criticality())
        if self._enter_or_enqueue(waiter):
            return self._permit()
        try:
            with QueueWait(self._clock, None if deadline is None else deadline.clock):
                woken = waiter.wait(inf if deadline is None else deadline.remaining())
        except BaseException:
            self._stop_waiting(waiter)
            raise
        if not woken and deadline is not None and self._remove_from_queue(waiter):
            raise DeadlineExceeded(deadline.seconds, before_call=True)
        if not waiter.granted:
            self._refuse(counted=True)
        return self._permit()

    def release(self) -> None:
        """Release one slot."""
        with self._lock:
            waiter = self._next()
        self._wake(waiter)

    def resize(self, limit: int | None, queue_limit: int | None) -> None:
        """Change the limits; None leaves a limit unchanged."""
        slots = self._slots
        with self._lock:
            granted, evicted = slots.resize(
                slots.limit if limit is None else limit, slots.queue_limit if queue_limit is None else queue_limit
            )
            self._tally.rejected += len(evicted)
            for waiter in granted:
                self._grant(waiter)
        for waiter in granted:
            self._wake(waiter)
        for waiter in evicted:
            waiter.wake()

    def _permit(self) -> Permit:
        try:
            return self.new_permit()
        except BaseException:
            self.release()
            raise

    def _enter_or_enqueue(self, waiter: Waiter) -> bool:
        with self._lock:
            if self._enter():
                self._tally.admitted += 1
                return True
            queued, evicted = self._enqueue(waiter)
            self._tally.rejected += evicted is not None
        if evicted is not None:
            evicted.wake()
        if not queued:
            self._refuse()
        return False

    def _refuse(self, *, counted: bool = False) -> NoReturn:
        if not counted:
            with self._lock:
                self._tally.rejected += 1
        self.refuse(BulkheadFull(self.name), self._clock.peek)

    def _remove_from_queue(self, waiter: Waiter) -> bool:
        with self._lock:
            if not self._slots.remove(waiter):
                return False
            self._tally.abandoned += 1
            return True

    def _stop_waiting(self, waiter: Waiter) -> None:
        """Leave the queue; a slot that was granted meanwhile passes to the next waiter."""
        if not self._remove_from_queue(waiter):
            self._wake(self._hand_over(waiter))

    def _hand_over(self, waiter: Waiter) -> Waiter | None:
        """Revoke the slot of `waiter`, once, and grant it to the next waiter."""
        with self._lock:
            if not waiter.granted:
                return None
            waiter.granted = False
            self._tally.admitted -= 1
            self._tally.abandoned += 1
            return self._next(waiter)

    def _enter(self) -> bool:
        return self._slots.enter()

    def _enqueue(self, waiter: Waiter) -> tuple[bool, Waiter | None]:
        return self._slots.enqueue(waiter)

    def _next(self, former: Waiter | None = None) -> Waiter | None:
        """Release the slot of `former`, or of a call that ended, to the next waiter."""
        waiter = self._slots.leave()
        if waiter is not None:
            self._grant(waiter)
        return waiter

    def _grant(self, waiter: Waiter) -> None:
        waiter.granted = True
        self._tally.admitted += 1

    def _wake(self, waiter: Waiter | None) -> None:
        while waiter is not None and not waiter.wake():
            waiter = self._hand_over(waiter)
