"""At most so many calls at once, and a bounded queue for the rest.

What lives here: taking a slot, waiting for one, giving it back, from tasks of any loop and from threads alike. What
does
not: whose turn it is (`_slots`), and a limit that finds itself (`adaptive`).
"""

from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Self

from cqox.errors import BulkheadFull, DeadlineExceeded
from cqox.resilience._ranges import check_count
from cqox.resilience._slots import Slots
from cqox.resilience._waiter import TaskWaiter, ThreadWaiter, Waiter, running_loop
from cqox.resilience.criticality import current_criticality
from cqox.resilience.deadline import remaining

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


class Bulkhead:
    """Lets `max_concurrent` calls in at once, lets `max_queued` wait, and refuses the rest with `BulkheadFull`.

    Who waited longest comes next, the more critical before the less. Where the queue is full, a call that is more
    critical takes the place of the latest of the least critical, which is refused. One bulkhead may be shared by
    threads and loops.
    """

    __slots__ = ("_abandoned", "_admitted", "_lock", "_rejected", "_slots", "name")

    def __init__(self, max_concurrent: int, max_queued: int = 0, *, name: str = "bulkhead") -> None:
        """Make a bulkhead.

        Args:
            max_concurrent: slots, at least 1.
            max_queued: places in the queue, at least 0.
            name: what rejections and snapshots call it.

        Raises:
            ValueError: a setting is out of its range.
        """
        check_count("max_concurrent", max_concurrent)
        check_count("max_queued", max_queued, least=0)
        self.name = name
        self._lock = Lock()
        self._slots = Slots[Waiter](max_concurrent, max_queued)
        self._admitted = self._rejected = self._abandoned = 0

    async def acquire(self) -> None:
        """Take a slot, waiting for one where there is a place in the queue.

        A cancellation while it waits gives up the place; where a slot was handed over in the same moment, it goes to
        the next.

        Raises:
            BulkheadFull: neither a slot nor a place in the queue was free, or a more critical call took the place.
        """
        if self._enter():
            return
        waiter = TaskWaiter(current_criticality())
        if self._enter_or_line_up(waiter):
            return
        try:
            await waiter.wait()
        except BaseException:
            self._give_up(waiter)
            raise
        if not waiter.granted:
            raise BulkheadFull(self.name)

    def acquire_sync(self) -> None:
        """Take a slot, blocking this thread where there is a place in the queue, no longer than the deadline allows.

        On a thread that runs an event loop it never blocks: the slot might be held by a task of that very loop.

        Raises:
            BulkheadFull: as for `acquire`, or there is no free slot and this thread runs an event loop.
            DeadlineExceeded: the deadline passed while it waited.
        """
        if self._enter():
            return
        if running_loop() is not None:
            raise self._refusal()
        waiter = ThreadWaiter(current_criticality())
        if self._enter_or_line_up(waiter):
            return
        try:
            woken = waiter.wait(remaining())
        except BaseException:
            self._give_up(waiter)
            raise
        if not woken and self._step_out(waiter):
            raise DeadlineExceeded
        if not waiter.granted:
            raise BulkheadFull(self.name)

    def release(self) -> None:
        """Give a slot back; from any thread or loop, once for each slot taken."""
        with self._lock:
            waiter = self._next()
        self._wake(waiter)

    def resize(self, max_concurrent: int, max_queued: int | None = None) -> None:
        """Go on with other limits. Calls that run go on; calls that wait are let in or refused as the new limits have
        it.

        Args:
            max_concurrent: slots, at least 1.
            max_queued: places in the queue, at least 0; as before where it is None.

        Raises:
            ValueError: a setting is out of its range.
        """
        check_count("max_concurrent", max_concurrent)
        if max_queued is not None:
            check_count("max_queued", max_queued, least=0)
        with self._lock:
            max_queued = self._slots.queue_limit if max_queued is None else max_queued
            granted, evicted = self._slots.resize(max_concurrent, max_queued)
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

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __enter__(self) -> Self:
        self.acquire_sync()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _enter(self) -> bool:
        with self._lock:
            if self._slots.enter():
                self._admitted += 1
                return True
            if self._slots.queue_limit:
                return False
        raise self._refusal()

    def _enter_or_line_up(self, waiter: Waiter) -> bool:
        with self._lock:
            if self._slots.enter():
                self._admitted += 1
                return True
            queued, evicted = self._slots.line_up(waiter)
            if evicted is not None:
                self._rejected += 1
        if evicted is not None:
            evicted.wake()
        if not queued:
            raise self._refusal()
        return False

    def _refusal(self) -> BulkheadFull:
        with self._lock:
            self._rejected += 1
        return BulkheadFull(self.name)

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
