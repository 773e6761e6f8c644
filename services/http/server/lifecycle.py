"""Where a process stands between its start and its end, and which requests are in flight.

What lives here: the facts. Who acts on them is elsewhere: `serving` drains, `health` reports, `connection` counts.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import trio

__all__ = ["InFlight", "Lifecycle", "Stage", "Ticket"]


class Stage(StrEnum):
    """What the process is doing; the readiness probe shows the word."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The stages of one process, in order; none comes back.

    Attributes:
        draining: set once the process has been told to end.
        drained: set once no request is in flight any more, or the rest was cut.
        failed: set once a task of the app broke and the process cannot go on; `failure` says how.
        failure: what broke, None so far.
    """

    def __init__(self) -> None:
        self.draining = trio.Event()
        self.drained = trio.Event()
        self.failed = trio.Event()
        self.failure: BaseException | None = None
        self._warm = False
        self._since = time.monotonic()

    @property
    def stage(self) -> Stage:
        """The stage now."""
        if self.draining.is_set():
            return Stage.DRAINING
        return Stage.READY if self._warm else Stage.STARTING

    @property
    def uptime(self) -> float:
        """Seconds since the process began to start."""
        return time.monotonic() - self._since

    def warmed(self) -> None:
        """Say that everything that answers a request is up."""
        self._warm = True

    def fail(self, error: BaseException) -> None:
        """Say that the process cannot go on; the first failure is kept."""
        if self.failure is None:
            self.failure = error
        self.failed.set()


class Ticket:
    """One request in flight.

    Attributes:
        scope: cancelled when the grace of a drain is over.
        what: method and path, for the log.
        background: whether nobody waits for it on a connection of its own; others may be listening to it.
    """

    __slots__ = ("background", "scope", "what")

    def __init__(self, what: str, *, background: bool = False) -> None:
        self.scope = trio.CancelScope()
        self.what = what
        self.background = background


class InFlight:
    """The requests that have arrived and whose answers have not been sent in full."""

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
        """Count one request, or one piece of work in the background, for as long as the block runs."""
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
        """Return when no request is in flight; a cancellation changes nothing."""
        while self._tickets:
            await self._idle.wait()

    def cut_background(self) -> tuple[str, ...]:
        """Cancel what runs in the background, and say what it was; its listeners can then be told of its end."""
        return self._cut([ticket for ticket in self._tickets.values() if ticket.background])

    def cut_all(self) -> tuple[str, ...]:
        """Cancel what is in flight, and say what it was."""
        return self._cut(list(self._tickets.values()))

    def _cut(self, left: list[Ticket]) -> tuple[str, ...]:
        for ticket in left:
            ticket.scope.cancel()
        self.cut += len(left)
        return tuple(ticket.what for ticket in left)
