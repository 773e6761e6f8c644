"""A simulated server of a store: it stops, freezes, is slow and loses connections.

A server outlives the engines that use it, and takes its faults from outside. Everything runs in the event loop of the
simulation: nothing here reads a clock of its own or draws from another generator than the given one.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from random import Random

import anyio

__all__ = ["CallFault", "Conditions", "Link", "SimulatedServer"]


class CallFault(StrEnum):
    """A fault that one call meets."""

    DIES_BEFORE = "the connection ends before the server has received anything"
    DIES_MIDWAY = "the connection ends after some of the statements of the call"
    DIES_AFTER = "the connection ends after the last effect, so that its acknowledgement is lost"
    UNDONE = "the server undoes the transaction because of a conflict"
    DISK = "the disk of the server returns an error to a write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Delays and faults of the calls that reach a server.

    Attributes:
        least_seconds: shortest time of one way between client and server.
        most_seconds: longest time of one way.
        rates: probability of each fault, per call; the sum is at most 1.
        disk_full: whether writes find no room.
    """

    least_seconds: float = 0.0002
    most_seconds: float = 0.002
    rates: tuple[tuple[CallFault, float], ...] = ()
    disk_full: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """A connection of a client to a server.

    Attributes:
        client: name of the client.
        is_open: whether it can be used, as far as its client can see without a round trip.
        is_abandoned: whether it ended with the process of its client, which the server may not have noticed yet.
    """

    client: str
    is_open: bool = True
    is_abandoned: bool = False


class SimulatedServer(ABC):
    """A server process, started.

    Args:
        rng: draws delays, faults and the outcome of races.
        now: clock of the server, Unix time in seconds.
        conditions: at first.

    Attributes:
        rng: the generator.
        now: the clock; may step and drift.
    """

    def __init__(self, *, rng: Random, now: Callable[[], float], conditions: Conditions | None = None) -> None:
        self.rng = rng
        self.now = now
        self._usual = self._now_in_force = conditions or Conditions()
        self._changes = list[Callable[[Conditions], Conditions]]()
        self._outages = 0
        self._suspensions = 0
        self._is_running = True
        self._is_frozen = False
        self._unreachable = dict[str, int]()
        self._deaths = dict[str, int]()
        self._links = list[Link]()
        self._changed = anyio.Event()
        self._scripted = deque[CallFault]()
        self._backlog = list[Callable[[], None]]()

    @abstractmethod
    def lose(self) -> None:
        """Lose what a process that is killed has only in memory."""

    @property
    def conditions(self) -> Conditions:
        """Conditions of the calls that begin from now on: the usual ones with every change in force."""
        return self._now_in_force

    @conditions.setter
    def conditions(self, usual: Conditions) -> None:
        self._usual = usual
        self._apply_changes()

    @property
    def is_running(self) -> bool:
        """True while the process runs, frozen or not."""
        return self._is_running

    @property
    def is_frozen(self) -> bool:
        """True while the process is suspended."""
        return self._is_frozen

    @property
    def connections(self) -> int:
        """Number of open connections of all clients."""
        return len(self._links)

    def stop(self) -> None:
        """Kill the process: every connection ends, and further ones are refused until `start`."""
        self._is_running = self._is_frozen = False
        self._backlog.clear()
        self.drop_connections()
        self.lose()

    def start(self) -> None:
        """Start the process after `stop`."""
        self._is_running = True
        self._notify()

    def freeze(self) -> None:
        """Suspend the process: it keeps its connections and answers nothing until `thaw`."""
        if self._is_running:
            self._is_frozen = True

    def thaw(self) -> None:
        """Resume the process. It first carries out what clients that left meanwhile had sent."""
        self._is_frozen = False
        for late in self._backlog:
            late()
        self._backlog.clear()
        self._notify()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Keep the process killed while the block runs; several may overlap, as may all that follow."""
        self.stop()
        self._outages += 1
        try:
            yield
        finally:
            self._outages -= 1
            if self._outages == 0:
                self.start()

    @contextmanager
    def suspension(self) -> Iterator[None]:
        """Keep the process frozen while the block runs."""
        self.freeze()
        self._suspensions += 1
        try:
            yield
        finally:
            self._suspensions -= 1
            if self._suspensions == 0:
                self.thaw()

    @contextmanager
    def partition(self, client: str) -> Iterator[None]:
        """Keep this client cut off while the block runs."""
        self.cut_off(client)
        try:
            yield
        finally:
            self.reconnect(client)

    @contextmanager
    def changed(self, change: Callable[[Conditions], Conditions]) -> Iterator[None]:
        """Change the conditions while the block runs."""
        self._changes.append(change)
        self._apply_changes()
        try:
            yield
        finally:
            self._changes.remove(change)
            self._apply_changes()

    def cut_off(self, client: str) -> None:
        """Lose every packet between the server and this client, until `reconnect`."""
        self._unreachable[client] = self._unreachable.get(client, 0) + 1

    def reconnect(self, client: str) -> None:
        """End what `cut_off` began, once for each time."""
        left = self._unreachable.pop(client, 0) - 1
        if left > 0:
            self._unreachable[client] = left
        self._notify()

    def drop_connections(self, client: str = "") -> None:
        """End every connection, or those of one client."""
        for link in [each for each in self._links if client in ("", each.client)]:
            self.disconnect(link)
        self._notify()

    def hang_up(self, client: str) -> None:
        """End the connections of a client that was killed: what it had sent may still be carried out.

        Its cancelled tasks reach nothing from then on; a client of this name that starts later does.
        """
        self._deaths[client] = self.deaths(client) + 1
        for link in [each for each in self._links if each.client == client]:
            link.is_abandoned = True
            self.disconnect(link)
        self._notify()

    def inject(self, *faults: CallFault) -> None:
        """Let the next calls meet these faults, one each, before any is drawn."""
        self._scripted.extend(faults)

    def deaths(self, client: str) -> int:
        """Return how often a client of this name was killed."""
        return self._deaths.get(client, 0)

    def connect(self, client: str, *, deaths: int = 0) -> Link | None:
        """Return a new connection; None if it is refused.

        Args:
            client: name of the client.
            deaths: how often one of this name had been killed when this one started.
        """
        if not self._is_running or deaths != self.deaths(client):
            return None
        link = Link(client=client)
        self._links.append(link)
        return link

    def disconnect(self, link: Link) -> None:
        """End a connection."""
        if link.is_open:
            link.is_open = False
            self._links.remove(link)

    def draw(self) -> CallFault | None:
        """Return the fault that a call meets, or None."""
        if self._scripted:
            return self._scripted.popleft()
        drawn = self.rng.random() if self.conditions.rates else 1.0
        for fault, rate in self.conditions.rates:
            drawn -= rate
            if drawn < 0.0:
                return fault
        return None

    def is_reachable(self, client: str) -> bool:
        """Return whether packets of this client arrive."""
        return client not in self._unreachable

    async def travel(self, client: str) -> None:
        """Wait for as long as a packet takes one way, and while the client is cut off."""
        await anyio.sleep(self.rng.uniform(self.conditions.least_seconds, self.conditions.most_seconds))
        while not self.is_reachable(client):
            await self._changed.wait()

    async def until_served(self, link: Link) -> None:
        """Wait while the process is frozen and the connection open."""
        while self._is_frozen and link.is_open:
            await self._changed.wait()

    def postpone(self, effect: Callable[[], None]) -> None:
        """Carry this out at `thaw`: it lies in the socket of a frozen process, whose client has left."""
        self._backlog.append(effect)

    def _apply_changes(self) -> None:
        self._now_in_force = self._usual
        for change in self._changes:
            self._now_in_force = change(self._now_in_force)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
