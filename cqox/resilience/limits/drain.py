"""Graceful shutdown: reject new work, wait for work in flight, report what was cut.

Signals and sockets belong to the services. The owner of the task group cancels work that outlasts the grace period.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Lock

from cqox.errors import Draining
from cqox.resilience.pipeline.part import Gate, Permit
from cqox.resilience.pipeline.waiter import TaskWaiter, ThreadWaiter, Waiter
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.criticality import Criticality
from cqox.resilience.runtime.ranges import Seconds, check_name, check_seconds
from cqox.tasks import open_task_group

__all__ = ["Drain", "DrainReport", "InFlight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """Work in flight.

    Attributes:
        name: name of the work.
        seconds: time in flight, in seconds.
    """

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainReport:
    """Outcome of a drain.

    Attributes:
        finished: number of entries in flight at the start that ended by themselves.
        cut: work still in flight at the end of the grace period, oldest first; empty after a clean drain.
        seconds: duration of the drain, in seconds.
    """

    finished: int
    cut: tuple[InFlight, ...]
    seconds: float


class Drain(Gate):
    """A drain: it counts work in flight; once begun, it rejects new work with `Draining` and waits for the rest.

    It is the outermost part of a served call: `with drain:`, `async with drain:`, a decorator, a part of a `Policy`, or
    `with drain.entry("POST /orders"):`, which names the work in the report. It may be shared by threads and event
    loops. It begins once and cannot be undone.
    """

    def __init__(
        self, name: str = "drain", *, retry_after: Seconds = 1.0, clock: Clock | TimeSource | None = None
    ) -> None:
        """Make a drain.

        Args:
            name: its name in rejections.
            retry_after: seconds after which a rejected call may try another process, at least 0.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self._retry_after = check_seconds("retry_after", retry_after)
        self._clock = bind_clock(f"Drain {name!r}", clock)
        self._given_clock = isinstance(clock, Clock)
        self._lock = Lock()
        self._inside: dict[_Entry, None] = {}
        self._waiters: list[Waiter] = []
        self._began_at: float | None = None
        self._finished = 0

    @property
    def begun(self) -> bool:
        """True once new work is rejected."""
        return self._began_at is not None

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """Work in flight, oldest first."""
        now = self._clock.peek()
        with self._lock:
            return tuple(InFlight(name=entry.name, seconds=now - entry.since) for entry in self._inside)

    def begin(self) -> None:
        """Reject new work from now on; idempotent. It takes no lock and never blocks."""
        if self._began_at is None:
            self._began_at = self._clock.now()

    @contextmanager
    def entry(self, name: str) -> Generator[None]:
        """Count the block as work in flight, in async and sync code alike.

        Args:
            name: its name in the report.

        Raises:
            Draining: the drain has begun.
        """
        entry = self._enter(name)
        try:
            yield
        finally:
            self._leave(entry)

    def admit(self, deadline: AmbientDeadline | None) -> Permit:
        """Count one call.

        Raises:
            Draining: the drain has begun.
        """
        return self._enter(self.name)

    def describe(self) -> str:
        """See `Part.describe`."""
        return "drain: rejects new calls once it has begun"

    async def wait(self, grace: Seconds) -> DrainReport:
        """Begin, and wait until nothing is in flight or the grace period is over.

        A cancellation ends the wait; the drain continues, and `wait` may be called again.

        Args:
            grace: grace period in seconds, at least 0; infinite for no limit.

        Raises:
            ValueError: `grace` is out of its range.
        """
        grace = check_seconds("grace", grace, infinite=True)
        self.begin()
        waiter = TaskWaiter(Criticality.PROBE)
        if grace > 0 and self._add_waiter(waiter):
            try:
                await self._wait_within(grace, waiter)
            finally:
                self._remove_waiter(waiter)
        return self._report()

    async def _wait_within(self, grace: float, waiter: TaskWaiter) -> None:
        async def end_of_grace() -> None:
            await self._clock.sleep_async(grace)
            waiter.wake()

        async with open_task_group("drain") as group:
            if grace < inf:
                group.start_soon(end_of_grace, name="grace")
            await waiter.wait()
            group.cancel_scope.cancel()

    def wait_sync(self, grace: Seconds) -> DrainReport:
        """Synchronous twin of `wait`; it blocks this thread.

        Raises:
            ValueError: `grace` is out of its range.
        """
        grace = check_seconds("grace", grace, infinite=True)
        self.begin()
        waiter = ThreadWaiter(Criticality.PROBE)
        if grace > 0 and self._add_waiter(waiter):
            try:
                if self._given_clock and grace < inf:
                    self._clock.sleep(grace)
                else:
                    waiter.wait(grace)
            finally:
                self._remove_waiter(waiter)
        return self._report()

    def _enter(self, name: str) -> "_Entry":
        entry = _Entry(self._leave, name, self._clock.now())
        with self._lock:
            refused = self._began_at is not None
            if not refused:
                self._inside[entry] = None
        if refused:
            self.refuse(Draining(self.name, retry_after=self._retry_after), self._clock.peek)
        return entry

    def _leave(self, entry: "_Entry") -> None:
        with self._lock:
            del self._inside[entry]
            if self._began_at is None:
                return
            self._finished += 1
            if self._inside:
                return
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()

    def _add_waiter(self, waiter: Waiter) -> bool:
        with self._lock:
            if self._inside:
                self._waiters.append(waiter)
            return bool(self._inside)

    def _remove_waiter(self, waiter: Waiter) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _report(self) -> DrainReport:
        began_at = self._began_at
        seconds = 0.0 if began_at is None else self._clock.now() - began_at
        cut = self.in_flight
        return DrainReport(finished=self._finished, cut=cut, seconds=seconds)


class _Entry(Permit):
    """Permit of one unit of work in flight."""

    __slots__ = ("_leave", "name", "since")

    lasting = True

    def __init__(self, leave: "Callable[[_Entry], None]", name: str, since: float) -> None:
        self._leave = leave
        self.name = check_name(name)
        self.since = since

    def succeed(self, value: object) -> None:
        self._leave(self)

    def fail(self, error: BaseException) -> None:
        self._leave(self)
