"""Single flight: concurrent computations of the same key run once.

The idea is Go's `singleflight` with structured lifetimes: a flight is a task of a group that outlives requests, and
exists for its waiters. It runs under the latest deadline among its current waiters; a waiter that leaves takes its
deadline along, and the last one to leave cancels the flight. No waiter inherits the cancellation, deadline or
traceback of another.

Invariants: a key has at most one flight that accepts waiters; a flight without waiters is being cancelled; every waiter
gets the value, or an exception object of its own.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import anyio

from cqox import telemetry
from cqox.tasks import TaskGroup

__all__ = ["OnStep", "SingleFlight", "Waiters", "fresh"]

type OnStep = Callable[[Mapping[str, object]], None]
"""Receives a step of the computation; called in the event loop, must not block."""


class Waiters(Protocol):
    """The waiters of a computation, as the computation sees them."""

    def report(self, step: Mapping[str, object]) -> None:
        """Report a step to all waiters."""
        ...

    def seconds_left(self) -> float:
        """Return the time until the latest deadline of the waiters, in seconds."""
        ...


type Compute[T] = Callable[[Waiters], Awaitable[T]]


class _Waiter:
    __slots__ = ("deadline", "on_step")

    def __init__(self, deadline: float, on_step: OnStep | None) -> None:
        self.deadline = deadline
        self.on_step = on_step


class _Flight[T]:
    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.finished = anyio.Event()
        self.waiters: set[_Waiter] = set()
        self.steps: list[Mapping[str, object]] = []
        self.value: list[T] = []
        self.failure: Exception | None = None

    def add(self, waiter: _Waiter) -> None:
        self.waiters.add(waiter)
        self._set_deadline()
        if waiter.on_step is not None:
            for step in self.steps:
                waiter.on_step(step)

    def remove(self, waiter: _Waiter) -> None:
        self.waiters.discard(waiter)
        self._set_deadline()
        if not self.waiters:
            self.scope.cancel("no waiters are left")

    def report(self, step: Mapping[str, object]) -> None:
        self.steps.append(step)
        for waiter in list(self.waiters):
            if waiter.on_step is not None:
                waiter.on_step(step)

    def seconds_left(self) -> float:
        return self.scope.deadline - anyio.current_time()

    def _set_deadline(self) -> None:
        if self.waiters:
            self.scope.deadline = max(waiter.deadline for waiter in self.waiters)


class SingleFlight[T]:
    """Runs one computation per key at a time.

    Args:
        group: task group of the computations; it must outlive every waiter.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(
        self, key: str, compute: Compute[T], *, deadline: float = math.inf, on_step: OnStep | None = None
    ) -> tuple[T, bool]:
        """Return the result of `compute`, and whether this call started it.

        Args:
            key: identity of the computation.
            compute: called once for all waiters, which it receives as an argument.
            deadline: deadline of this waiter, on the event loop's clock (`anyio.current_time`). The waiter must leave
                by itself: its own cancel scope is the caller's.
            on_step: called with every step, including those before this waiter joined.

        A cancellation leaves the flight, and cancels it if no waiter is left.

        Raises:
            Exception: the error of `compute`, a separate object for each waiter with the original as its cause.
        """
        flight = self._flights.get(key)
        # A cancelled flight that still winds down accepts no waiters: start another one.
        if started := flight is None or flight.scope.cancel_called:
            flight = self._flights[key] = _Flight[T]()
        waiter = _Waiter(deadline, on_step)
        flight.add(waiter)
        if started:
            # A task of the app's group, since others may join; its span still belongs to the caller that started it.
            with telemetry.waited_for():
                self._group.start_soon(self._run, key, flight, compute, name="computation")
        try:
            await flight.finished.wait()
        finally:
            flight.remove(waiter)
            if not flight.waiters and self._flights.get(key) is flight:
                # New callers must not join a flight that is being cancelled.
                del self._flights[key]
        if flight.failure is not None:
            raise fresh(flight.failure) from flight.failure
        return flight.value[0], started

    async def _run(self, key: str, flight: _Flight[T], compute: Compute[T]) -> None:
        try:
            with flight.scope:
                flight.value.append(await compute(flight))
            if flight.scope.cancelled_caught:
                telemetry.current_span().cancel()
        except Exception as error:  # noqa: BLE001 - the supervised root of a flight: each waiter is given it
            flight.failure = error
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
        if flight.value or flight.failure is not None:
            flight.finished.set()


def fresh[E: Exception](error: E) -> E:
    """Return a copy of the exception without traceback, cause and context."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    return copy
