"""Bound how many connections a process holds, and choose which one gives way to a new one.

A connection *stands still* while it waits for the first byte of a request and none has arrived, or while its client
sends or takes fewer than 1 KiB a second. Only such a connection gives way: first of the address that opens a new one,
then of any, the oldest first. Where there is none, the address that holds more than half of all connections gives one
up sooner; and event streams, which their clients can continue, give way beyond half of all connections. What waits for
an answer stays.
"""

import resource
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import trio

__all__ = ["Activity", "ConnectionLimits", "Place", "descriptor_bound"]

PROBE_PLACES = 8
"""Connections beyond the bound that may ask for health and nothing else."""

_RESERVED_DESCRIPTORS = 32
_DESCRIPTORS_PER_CONNECTION = 2
_FEWEST_CONNECTIONS = 8
_STALL_SECONDS = 5.0
_SHORT_STALL_SECONDS = 0.5
_BYTES_PER_SECOND = 1024
_MOST_LOOKED_AT = 2048


class Activity(Enum):
    """What a connection waits for."""

    IDLE = auto()
    """The first byte of a request."""
    TRANSFERRING = auto()
    """The rest of a request, or its client to take an answer."""
    ANSWERING = auto()
    """The application."""


def descriptor_bound() -> int:
    """Return how many connections the soft limit of descriptors allows: each may take one more for its answer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 2**20
    return max(_FEWEST_CONNECTIONS, (soft - _RESERVED_DESCRIPTORS) // _DESCRIPTORS_PER_CONNECTION)


def _nothing_unread() -> bool:
    return False


class Place:
    """The place of one connection among all of a process.

    Attributes:
        client: the client's address.
        scope: cancelled where the connection is evicted.
        evicted: whether it has given way to another one.
        has_unread: whether bytes of the client have arrived and wait to be read; not asked of one that sends no more.
        probes_only: whether it is beyond the bound, so that it may ask for health alone.
        streams_events: whether its answer is an event stream.
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
        # A transfer that keeps its pace has paid for the time until now; this lags behind for one that does not.
        self._paid_until = self._left_at = trio.current_time()
        self.scope = trio.CancelScope()
        self.evicted = False
        self.probes_only = probes_only
        self.streams_events = False

    @property
    def activity(self) -> Activity:
        """What the connection waits for now."""
        if self._idle:
            return Activity.IDLE
        return Activity.TRANSFERRING if self._transfers else Activity.ANSWERING

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Wait for the first byte of a request within the block."""
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
        """Wait for bytes of a request, or for the client to take an answer, within the block; several may overlap."""
        if not self._transfers:
            # What the service took in between is not the client's time.
            self._paid_until += trio.current_time() - self._left_at
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1
            self._left_at = trio.current_time()

    def moved(self, size_bytes: int) -> None:
        """Record bytes that came from the client or that it has taken."""
        self._paid_until = min(trio.current_time(), self._paid_until + size_bytes / _BYTES_PER_SECOND)

    def stands_still(self, now: float, seconds: float = _STALL_SECONDS) -> bool:
        """Return whether the connection waits for its client, and has done so long enough to give way.

        Args:
            now: Trio's clock.
            seconds: how far a transfer may be behind its pace.
        """
        if self._idle:
            # A request that waits for this process to read it has been sent: its client would see it cut.
            return not self.has_unread()
        return self._transfers > 0 and now - self._paid_until >= seconds


class ConnectionLimits:
    """The connections of one process.

    Args:
        most: how many there may be; None for as many as descriptors allow.
        most_per_client: beyond how many of one address the oldest one that stands still gives way; 0 for no bound.

    Attributes:
        evicted: how many connections have given way so far.
        refused: how many were closed unanswered, because every other one was at work.
    """

    def __init__(self, *, most: int | None = None, most_per_client: int = 0) -> None:
        self._most = descriptor_bound() if most is None else min(most, descriptor_bound())
        self._most_per_client = most_per_client
        # Each from the one that has been busy or idle for longest to the one that was opened or became idle last.
        self._places: OrderedDict[Place, None] = OrderedDict()
        self._of_client: dict[str, OrderedDict[Place, None]] = {}
        self._probes: OrderedDict[Place, None] = OrderedDict()
        self.evicted = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._places) + len(self._probes)

    @property
    def most(self) -> int:
        """How many connections there may be."""
        return self._most

    def admit(self, client: str, *, has_unread: Callable[[], bool] = _nothing_unread) -> Place | None:
        """Take a place for a new connection; None where it has to be closed. Give it back with `leave`.

        Args:
            client: the client's address.
            has_unread: whether bytes of the client have arrived and wait to be read.
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
            # A probe sends its request at once: the first one that has not done so gives way, however short it waited.
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
        """Give a place back; a second time changes nothing."""
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
        """Record that the connection of this place began to be idle last."""
        if place in self._places:
            self._places.move_to_end(place)
            self._of_client[place.client].move_to_end(place)

    def _evict_from(self, places: OrderedDict[Place, None], *, seconds: float = _STALL_SECONDS) -> bool:
        now = trio.current_time()
        for number, place in enumerate(places):
            if number == _MOST_LOOKED_AT:
                return False
            if place.stands_still(now, seconds):
                self._evict(place)
                return True
        return False

    def _evict(self, place: Place) -> None:
        place.evicted = True
        place.scope.cancel("another connection needs its place")
        # Its descriptor goes once its task has run.
        self.leave(place)
        self.evicted += 1
