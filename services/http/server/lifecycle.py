"""The lifecycle stage of the process, and the requests in flight.

It holds only state: `serving` drains, `health` reports, `request_task` counts.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import trio

from cqox import clock

__all__ = ["InFlight", "Lifecycle", "Stage", "Ticket"]


class Stage(StrEnum):
    """The stage of the process, as the readiness probe reports it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The stages of a process, each of which is entered once and in order.

    Attributes:
        draining: set once the process has received a stop signal.
        drained: set once no request is in flight any more, or the rest was cancelled.
        failed: set once a task of the app has failed, so that the process must end.
        failure: the exception of that task; None so far.
    """

    def __init__(self) -> None:
        self.draining = trio.Event()
        self.drained = trio.Event()
        self.failed = trio.Event()
        self.failure: BaseException | None = None
        self._warm = False
        self._since = clock.monotonic()

    @property
    def stage(self) -> Stage:
        """The current stage."""
        if self.draining.is_set():
            return Stage.DRAINING
        return Stage.READY if self._warm else Stage.STARTING

    @property
    def uptime(self) -> float:
        """Seconds since the start of the process."""
        return clock.monotonic() - self._since

    def warmed(self) -> None:
        """Mark the process ready."""
        self._warm = True

    def fail(self, error: BaseException) -> None:
        """Mark the process failed; the first failure is kept."""
        if self.failure is None:
            self.failure = error
        self.failed.set()


class Ticket:
    """One request in flight.

    Attributes:
        scope: cancelled at the end of a drain's grace period.
        what: method and path, for the log.
        background: whether it is a background job, without a connection of its own; clients may follow its events.
    """

    __slots__ = ("background", "scope", "what")

    def __init__(self, what: str, *, background: bool = False) -> None:
        self.scope = trio.CancelScope()
        self.what = what
        self.background = background


class InFlight:
    """The requests whose responses are not completely sent."""

    def __init__(self) -> None:
        self._tickets: dict[int, Ticket] = {}
        self._numbers = itertools.count()
        self._idle = trio.Event()
        self._idle.set()
        self.cut = 0

    def __len__(self) -> int:
        return len(self._tickets)

    @contextmanager
    def admit(self, what: str, *, background: bool = False) -> Iterator[Ticket]:
        """Count one request or background job while the block runs."""
        number, ticket = next(self._numbers), Ticket(what, background=background)
        if not self._tickets:
            self._idle = trio.Event()
        self._tickets[number] = ticket
        try:
            yield ticket
        finally:
            del self._tickets[number]
            if not self._tickets:
                self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no request is in flight."""
        while self._tickets:
            await self._idle.wait()

    def cut_background(self) -> tuple[str, ...]:
        """Cancel background jobs, so that their listeners receive the final event; return their names."""
        return self._cut([ticket for ticket in self._tickets.values() if ticket.background])

    def cut_all(self) -> tuple[str, ...]:
        """Cancel all requests in flight; return their names."""
        return self._cut(list(self._tickets.values()))

    def _cut(self, left: list[Ticket]) -> tuple[str, ...]:
        for ticket in left:
            ticket.scope.cancel()
        self.cut += len(left)
        return tuple(ticket.what for ticket in left)
