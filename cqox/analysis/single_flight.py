"""Identical computations at once are one computation.

The idea is Go's `singleflight` with structured lifetimes: a flight is a task of a group that outlives requests, and it
exists for its waiters. It runs under the longest deadline among those that wait now; a waiter that leaves takes its
deadline along, and the last one to leave ends the flight. Nobody inherits another's cancellation, deadline or
traceback.

What must stay true: a key has at most one flight that accepts waiters; a flight without waiters is being cancelled;
every waiter gets the value, or an exception object of its own.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import anyio

from cqox import telemetry
from cqox.tasks import TaskGroup

__all__ = ["Flights", "Tell", "Underway", "fresh"]

type Tell = Callable[[Mapping[str, object]], None]
"""Takes a step of the computation; called in the event loop, must not block."""


class Underway(Protocol):
    """What a computation knows of those who wait for it."""

    def tell(self, step: Mapping[str, object]) -> None:
        """Tell all of them of a step."""
        ...

    def seconds_left(self) -> float:
        """How long the most patient of them will still wait."""
        ...


type Compute[T] = Callable[[Underway], Awaitable[T]]


class _Waiter:
    __slots__ = ("deadline", "tell")

    def __init__(self, deadline: float, tell: Tell | None) -> None:
        self.deadline = deadline
        self.tell = tell


class _Flight[T]:
    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.landed = anyio.Event()
        self.waiters: set[_Waiter] = set()
        self.told: list[Mapping[str, object]] = []
        self.value: list[T] = []
        self.failure: Exception | None = None

    def board(self, waiter: _Waiter) -> None:
        self.waiters.add(waiter)
        self._set_deadline()
        if waiter.tell is not None:
            for step in self.told:
                waiter.tell(step)

    def leave(self, waiter: _Waiter) -> None:
        self.waiters.discard(waiter)
        self._set_deadline()
        if not self.waiters:
            self.scope.cancel("nobody waits any more")

    def tell(self, step: Mapping[str, object]) -> None:
        self.told.append(step)
        for waiter in list(self.waiters):
            if waiter.tell is not None:
                waiter.tell(step)

    def seconds_left(self) -> float:
        return self.scope.deadline - anyio.current_time()

    def _set_deadline(self) -> None:
        if self.waiters:
            self.scope.deadline = max(waiter.deadline for waiter in self.waiters)


class Flights[T]:
    """The computations under way, by key.

    Args:
        group: where they run; it must outlive every waiter.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(
        self, key: str, compute: Compute[T], *, deadline: float = math.inf, tell: Tell | None = None
    ) -> tuple[T, bool]:
        """What `compute` returns, and whether this call started it.

        Args:
            key: what makes two computations the same.
            compute: called once for all that wait; it is handed what it may tell them and how long they wait.
            deadline: how long this waiter counts, on the event loop's clock (`anyio.current_time`). The waiter must
                leave by itself: its own cancel scope is the caller's.
            tell: told of every step, those before it joined included.

        A cancellation leaves the flight, and ends it if nobody else waits.

        Raises:
            Exception: what `compute` raised, a fresh object for each waiter with the original as its cause.
        """
        flight = self._flights.get(key)
        # One whose time is over still winds down: it has no value for those who come now.
        if started := flight is None or flight.scope.cancel_called:
            flight = self._flights[key] = _Flight[T]()
        waiter = _Waiter(deadline, tell)
        flight.board(waiter)
        if started:
            # It lives in the app's group because others may join; whoever began it waits for it all the same.
            with telemetry.waited_for():
                self._group.start_soon(self._fly, key, flight, compute, name="computation")
        try:
            await flight.landed.wait()
        finally:
            flight.leave(waiter)
            if not flight.waiters and self._flights.get(key) is flight:
                # Who comes now must not board a flight that is ending.
                del self._flights[key]
        if flight.failure is not None:
            raise fresh(flight.failure) from flight.failure
        return flight.value[0], started

    async def _fly(self, key: str, flight: _Flight[T], compute: Compute[T]) -> None:
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
            flight.landed.set()


def fresh[E: Exception](error: E) -> E:
    """Another exception of the same class, message and attributes, without traceback, cause and context."""
    copy = type(error).__new__(type(error))
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    return copy
