"""Connection limits of a process, and the choice of the connection to evict for a new one.

A connection is *stalled* while it waits for the first byte of a request and none has arrived, or while its client sends
or receives fewer than 1 KiB a second. Only stalled connections are evicted: first of the address that opens a new one,
then of any, the oldest first. Where there is none, an address with more than half of all connections loses one after a
shorter stall, and event streams, which clients can resume, are evicted if they are more than half of all connections.
Connections that wait for a response are kept.
"""

import resource
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import trio

__all__ = ["Activity", "ConnectionLimits", "Place", "descriptor_bound"]

PROBE_PLACES = 8
"""Connections beyond the limit that may request only the health paths."""

_RESERVED_DESCRIPTORS = 32
_DESCRIPTORS_PER_CONNECTION = 2
_FEWEST_CONNECTIONS = 8
_STALL_SECONDS = 5.0
_SHORT_STALL_SECONDS = 0.5
_BYTES_PER_SECOND = 1024
_MOST_LOOKED_AT = 2048


class Activity(Enum):
    """The state of a connection by what it waits for."""

    IDLE = auto()
    """The first byte of a request."""
    TRANSFERRING = auto()
    """The rest of a request, or its client to receive a response."""
    ANSWERING = auto()
    """The application."""


def descriptor_bound() -> int:
    """Return the number of connections that the soft limit of descriptors allows; each may need one more."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 2**20
    return max(_FEWEST_CONNECTIONS, (soft - _RESERVED_DESCRIPTORS) // _DESCRIPTORS_PER_CONNECTION)


def _nothing_unread() -> bool:
    return False


class Place:
    """The slot of one connection within the limits of the process.

    Attributes:
        client: the client's address.
        scope: cancelled when the connection is evicted.
        evicted: whether it was evicted.
        has_unread: returns whether received bytes of the client are unread.
        probes_only: whether it is beyond the limit, and may request only the health paths.
        streams_events: whether its response is an event stream.
    """

    __slots__ = (
        "_idle",
        "_left_at",
        "_limits",
        "_paid_until",
        "_transfers",
        "client",
        "evicted",
        "has_unread",
        "probes_only",
        "scope",
        "streams_events",
    )

    def __init__(
        self, limits: "ConnectionLimits", client: str, *, has_unread: Callable[[], bool], probes_only: bool = False
    ) -> None:
        self._limits = limits
        self.client = client
        self.has_unread = has_unread
        self._idle = False
        self._transfers = 0
        # A transfer above the minimum rate has paid for the time until now; for a slower one this lags behind.
        self._paid_until = self._left_at = trio.current_time()
        self.scope = trio.CancelScope()
        self.evicted = False
        self.probes_only = probes_only
        self.streams_events = False

    @property
    def activity(self) -> Activity:
        """The current activity."""
        if self._idle:
            return Activity.IDLE
        return Activity.TRANSFERRING if self._transfers else Activity.ANSWERING

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Mark the connection idle within the block, which waits for the first byte of a request."""
        self._idle = True
        self.streams_events = False
        self._limits.touch(self)
        try:
            yield
        finally:
            self._idle = False
            self._paid_until = self._left_at = trio.current_time()

    @contextmanager
    def transferring(self) -> Iterator[None]:
        """Mark the connection as transferring within the block; several blocks may overlap."""
        if not self._transfers:
            # The time that the service took in between does not count against the client.
            self._paid_until += trio.current_time() - self._left_at
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1
            self._left_at = trio.current_time()

    def moved(self, size_bytes: int) -> None:
        """Record bytes received from or sent to the client."""
        self._paid_until = min(trio.current_time(), self._paid_until + size_bytes / _BYTES_PER_SECOND)

    def is_stalled(self, now: float, seconds: float = _STALL_SECONDS) -> bool:
        """Return whether the connection has waited for its client long enough to be evicted.

        Args:
            now: Trio's clock.
            seconds: the longest time that a transfer may lag behind the minimum rate.
        """
        if self._idle:
            # Unread bytes are a request that was sent: its client would see it aborted.
            return not self.has_unread()
        return self._transfers > 0 and now - self._paid_until >= seconds


class ConnectionLimits:
    """The connections of one process.

    Args:
        most: the most connections; None for as many as descriptors allow.
        most_per_client: connections of one address beyond which its oldest stalled one is evicted; 0 for no limit.

    Attributes:
        evicted: number of connections evicted so far.
        refused: number of connections closed without a response, because all others were active.
    """

    def __init__(self, *, most: int | None = None, most_per_client: int = 0) -> None:
        self._most = descriptor_bound() if most is None else min(most, descriptor_bound())
        self._most_per_client = most_per_client
        # In order of the last time that the connection was opened or became idle, oldest first.
        self._places: OrderedDict[Place, None] = OrderedDict()
        self._of_client: dict[str, OrderedDict[Place, None]] = {}
        self._probes: OrderedDict[Place, None] = OrderedDict()
        self.evicted = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._places) + len(self._probes)

    @property
    def most(self) -> int:
        """The most connections."""
        return self._most

    def admit(self, client: str, *, has_unread: Callable[[], bool] = _nothing_unread) -> Place | None:
        """Return a slot for a new connection, or None where it has to be closed. Release it with `leave`.

        Args:
            client: the client's address.
            has_unread: returns whether received bytes of the client are unread.
        """
        own = self._of_client.get(client, OrderedDict())
        if self._most_per_client and len(own) >= self._most_per_client:
            self._evict_from(own)
        if len(self._places) >= self._most and not self._make_room(own):
            return self._admit_probe(client, has_unread)
        place = Place(self, client, has_unread=has_unread)
        self._places[place] = None
        self._of_client.setdefault(client, OrderedDict())[place] = None
        return place

    def _make_room(self, own: OrderedDict[Place, None]) -> bool:
        if self._evict_from(own) or self._evict_from(self._places):
            return True
        largest = max(self._of_client.values(), key=len)
        if 2 * len(largest) > self._most and self._evict_from(largest, seconds=_SHORT_STALL_SECONDS):
            return True
        streams = [place for place in self._places if place.streams_events]
        if 2 * len(streams) <= self._most:
            return False
        self._evict(next((place for place in streams if place in largest), streams[0]))
        return True

    def _admit_probe(self, client: str, has_unread: Callable[[], bool]) -> Place | None:
        if len(self._probes) >= PROBE_PLACES:
            # A probe sends its request at once: evict the first one that has not, however short it has waited.
            waiting = [place for place in self._probes if place.activity is not Activity.ANSWERING]
            late = next((place for place in waiting if not place.has_unread()), next(iter(waiting), None))
            if late is None:
                self.refused += 1
                return None
            self._evict(late)
        place = Place(self, client, has_unread=has_unread, probes_only=True)
        self._probes[place] = None
        return place

    def leave(self, place: Place) -> None:
        """Release a slot; idempotent."""
        if place.probes_only:
            self._probes.pop(place, None)
            return
        if self._places.pop(place, self) is self:
            return
        own = self._of_client[place.client]
        del own[place]
        if not own:
            del self._of_client[place.client]

    def touch(self, place: Place) -> None:
        """Record that the connection of this slot became idle now."""
        if place in self._places:
            self._places.move_to_end(place)
            self._of_client[place.client].move_to_end(place)

    def _evict_from(self, places: OrderedDict[Place, None], *, seconds: float = _STALL_SECONDS) -> bool:
        now = trio.current_time()
        for number, place in enumerate(places):
            if number == _MOST_LOOKED_AT:
                return False
            if place.is_stalled(now, seconds):
                self._evict(place)
                return True
        return False

    def _evict(self, place: Place) -> None:
        place.evicted = True
        place.scope.cancel("another connection needs its place")
        # Its descriptor is closed once its task has run.
        self.leave(place)
        self.evicted += 1
