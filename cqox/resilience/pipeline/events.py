"""What the policies say about themselves: one frozen record per happening, one callback to hear them all.

Nothing is built and nothing is called while nobody listens: whoever emits looks at `listeners` first. Listeners are
called outside every lock, each record once, the transitions of one circuit in their order. A listener that raises is
logged and changes nothing else.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

__all__ = [
    "AttemptFailed",
    "AttemptStarted",
    "CallRejected",
    "CircuitClosed",
    "CircuitDisabled",
    "CircuitHalfOpened",
    "CircuitIsolated",
    "CircuitObserved",
    "CircuitOpened",
    "Event",
    "GaveUp",
    "Listener",
    "Outbox",
    "ProbeFailed",
    "RetryScheduled",
    "TimedOut",
    "capture_events",
    "emit",
    "subscribe",
]

_log = logging.getLogger("cqox.resilience")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened.

    Attributes:
        name: name of the part that it happened to.
        at: when, in seconds of that part's clock.
    """

    name: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(Event):
    """A circuit refuses calls from now on.

    Attributes:
        reason: what reached its bound, in words.
        recovery_timeout: seconds until the next probe.
    """

    reason: str
    recovery_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitHalfOpened(Event):
    """A circuit lets probes through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitClosed(Event):
    """A circuit lets every call through.

    Attributes:
        reason: "recovered", or "reset" where somebody asked for it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitIsolated(Event):
    """A circuit was forced to refuse every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitDisabled(Event):
    """A circuit was told to let every call through whatever happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitObserved(Event):
    """A circuit was told to judge and to let every call through all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFailed(Event):
    """The `probe` of a circuit failed, so that the call that waited for it was refused.

    Attributes:
        error: what the probe raised.
    """

    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRejected(Event):
    """A part refused a call.

    Attributes:
        kind: class of the part, such as "CircuitBreaker".
        retry_after: seconds until a call may be let in, 0.0 where that is unknown.
        enforced: False where the part only observes, so that the call went through.
    """

    kind: str
    retry_after: float
    enforced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """A retry begins an attempt.

    Attributes:
        attempt: its number, from 1.
        max_attempts: how many there may be.
    """

    attempt: int
    max_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """An attempt raised an exception.

    Attributes:
        attempt: its number, from 1.
        max_attempts: how many there may be.
        error: what it raised.
    """

    attempt: int
    max_attempts: int
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """Another attempt follows.

    Attributes:
        attempt: number of the attempt that failed, from 1.
        max_attempts: how many there may be.
        delay: seconds until the next.
        error: what the attempt raised.
    """

    attempt: int
    max_attempts: int
    delay: float
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp(Event):
    """No attempt follows.

    Attributes:
        attempt: number of the last attempt, from 1.
        reason: why, in words.
        error: what goes to the caller.
    """

    attempt: int
    reason: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut(Event):
    """An attempt or a deadline was cut.

    Attributes:
        seconds: the limit that was in force.
    """

    seconds: float


type Listener = Callable[[Event], None]
"""Takes each event, on the thread on which it happened."""

listeners: tuple[Listener, ...] = ()
"""Who hears every event; look here before building one."""

_registration = Lock()


def subscribe(listener: Listener) -> Callable[[], None]:
    """Call `listener` for every event from now on.

    Returns:
        What ends it; calling it again does nothing.
    """
    global listeners
    with _registration:
        listeners = (*listeners, listener)

    subscribed = True

    def unsubscribe() -> None:
        nonlocal subscribed
        global listeners
        with _registration:
            if subscribed:
                subscribed = False
                kept = list(listeners)
                kept.remove(listener)
                listeners = tuple(kept)

    return unsubscribe


def emit(event: Event, more: tuple[Listener, ...] = ()) -> None:
    """Hand `event` to every listener, and to those in `more`. Call it outside every lock."""
    for listener in (*listeners, *more):
        try:
            listener(event)
        except Exception:  # noqa: BLE001 - what listens to a policy must not break it
            _log.exception("a listener failed on %s of %s", type(event).__name__, event.name)


@contextmanager
def capture_events(*kinds: type[Event]) -> Generator[list[Event]]:
    """Collect the events that happen inside the block, in this process, in their order.

    Args:
        kinds: classes to collect; all where none is named.
    """
    wanted = kinds or (Event,)
    seen: list[Event] = []

    def collect(event: Event) -> None:
        if isinstance(event, wanted):
            seen.append(event)

    unsubscribe = subscribe(collect)
    try:
        yield seen
    finally:
        unsubscribe()


class Outbox:
    """Events on their way from a state that is locked to listeners who must not be called under the lock.

    They are put in under the owner's lock, which fixes their order, and delivered after it was released: by one thread
    at a time, so that no listener sees a later one first. An event that a listener causes is delivered after the one
    that it is looking at.
    """

    __slots__ = ("_delivering", "_lock", "_waiting", "subscribers")

    def __init__(self) -> None:
        self.subscribers: tuple[Listener, ...] = ()
        self._waiting: deque[Event] = deque()
        self._delivering = False
        self._lock = Lock()

    @property
    def wanted(self) -> bool:
        """True where somebody listens."""
        return bool(self.subscribers or listeners)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for the events of this owner alone; returns what ends it."""
        with self._lock:
            self.subscribers = (*self.subscribers, listener)

        subscribed = True

        def unsubscribe() -> None:
            nonlocal subscribed
            with self._lock:
                if subscribed:
                    subscribed = False
                    kept = list(self.subscribers)
                    kept.remove(listener)
                    self.subscribers = tuple(kept)

        return unsubscribe

    def put(self, event: Event) -> None:
        """Queue `event`; the caller holds its own lock."""
        self._waiting.append(event)

    def deliver(self) -> None:
        """Hand out what waits; the caller holds no lock."""
        while self._waiting:
            with self._lock:
                if self._delivering or not self._waiting:
                    return
                self._delivering = True
                event = self._waiting.popleft()
            try:
                emit(event, self.subscribers)
            finally:
                self._delivering = False
