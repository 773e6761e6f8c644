"""Events of the policies: one frozen record per occurrence, delivered to every listener.

No event is built while there are no listeners: an emitter checks `listeners` first. Listeners are called outside every
lock, once per event, and in order for the transitions of one circuit. A listener that raises is logged and has no other
effect.
"""

from collections import deque
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from threading import Lock

from cqox.resilience.runtime.ranges import check_listener

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Event:
    """Base class of all events.

    Attributes:
        name: name of the part that emitted it.
        at: time of the event, in seconds of that part's clock.
        key: key of the policy (`Policy.for_key`), None for a part without one or of all keys. It is no part of the
            text of an event and must not become a label of a metric: keys are many, and may be those of persons.
    """

    name: str
    at: float
    key: Hashable = field(default=None, repr=False)

    # As `dataclass` would write them for each kind of event, which takes a third of the time that a class takes.
    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitOpened(Event):
    """A circuit opened: it rejects calls from now on.

    Attributes:
        reason: the threshold that was reached, in words.
        recovery_timeout: seconds until the next probe.
    """

    reason: str
    recovery_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitHalfOpened(Event):
    """A circuit became half-open: it lets probes through."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitClosed(Event):
    """A circuit closed: it lets every call through.

    Attributes:
        reason: "recovered", or "reset" where an operator reset it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitIsolated(Event):
    """A circuit was isolated: it rejects every call until it is reset."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitDisabled(Event):
    """A circuit was disabled: it lets every call through until it is reset."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CircuitObserved(Event):
    """A circuit was set to observe only: it changes state but enforces nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ProbeFailed(Event):
    """The `probe` of a circuit failed, and the call that waited for it was rejected.

    Attributes:
        error: exception that the probe raised.
    """

    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CallRejected(Event):
    """A part rejected a call.

    Attributes:
        kind: class of the part, such as "CircuitBreaker".
        retry_after: seconds until a call may be admitted, 0.0 where that is unknown.
        enforced: False where the part only observes and the call went through.
    """

    kind: str
    retry_after: float
    enforced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AttemptStarted(Event):
    """A retry started an attempt.

    Attributes:
        attempt: its number, from 1.
        max_attempts: limit on the number of attempts.
    """

    attempt: int
    max_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AttemptFailed(Event):
    """An attempt raised an exception.

    Attributes:
        attempt: its number, from 1.
        max_attempts: limit on the number of attempts.
        error: exception that it raised.
    """

    attempt: int
    max_attempts: int
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RetryScheduled(Event):
    """A retry scheduled another attempt.

    Attributes:
        attempt: number of the attempt that failed, from 1.
        max_attempts: limit on the number of attempts.
        delay: seconds until the next attempt.
        error: exception that the attempt raised.
    """

    attempt: int
    max_attempts: int
    delay: float
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GaveUp(Event):
    """A retry gave up: no further attempt follows.

    Attributes:
        attempt: number of the last attempt, from 1.
        reason: the reason, in words.
        error: exception that the caller receives.
    """

    attempt: int
    reason: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TimedOut(Event):
    """An attempt was ended by its timeout.

    Attributes:
        seconds: the limit that was in force.
    """

    seconds: float


type Listener = Callable[[Event], None]
"""Callback for an event; it runs on the thread that emitted it."""

listeners: tuple[Listener, ...] = ()
"""Listeners for every event; check that there are any before building one."""

_registration = Lock()


def subscribe(listener: Listener) -> Callable[[], None]:
    """Call `listener` for every event from now on.

    Returns:
        A function that unsubscribes; calling it again has no effect.

    Raises:
        ValueError: `listener` is not a plain callable.
    """
    global listeners
    check_listener(listener)
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
    """Deliver `event` to every listener and to those in `more`. Call it outside every lock."""
    for listener in (*listeners, *more):
        try:
            listener(event)
        except Exception:
            # A listener must not break a policy. Imported here, as it takes longer than most modules of the library.
            import logging

            logging.getLogger("cqox.resilience").exception(
                "a listener failed on %s of %s", type(event).__name__, event.name
            )


@contextmanager
def capture_events(*kinds: type[Event]) -> Generator[list[Event]]:
    """Collect the events emitted by this process inside the block, in order.

    Args:
        kinds: event classes to collect; all by default.
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
    """A queue of events from a locked state to listeners that must not be called under the lock.

    Events are queued under the owner's lock, which fixes their order, and delivered after it is released, by one thread
    at a time, so that listeners see them in order. An event caused by a listener is delivered after the current one.

    Attributes:
        subscribers: listeners for the events of this owner.
        waiting: the queued events.
    """

    __slots__ = ("_delivering", "_lock", "subscribers", "waiting")

    def __init__(self) -> None:
        self.subscribers: tuple[Listener, ...] = ()
        self.waiting: deque[Event] = deque()
        self._delivering = False
        self._lock = Lock()

    @property
    def wanted(self) -> bool:
        """True while there are listeners."""
        return bool(self.subscribers or listeners)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for the events of this owner only; return a function that unsubscribes.

        Raises:
            ValueError: `listener` is not a plain callable.
        """
        check_listener(listener)
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
        self.waiting.append(event)

    def deliver(self) -> None:
        """Deliver the queued events; the caller holds no lock."""
        while self.waiting:
            with self._lock:
                if self._delivering or not self.waiting:
                    return
                self._delivering = True
                event = self.waiting.popleft()
            try:
                emit(event, self.subscribers)
            finally:
                # Under the lock: another thread either finds it False, or has queued what the next look finds.
                with self._lock:
                    self._delivering = False
