"""Recording of the metrics in `metric_definitions`.

What lives here: recording, and what is read when somebody looks. What does not: OpenTelemetry's SDK, which
`instruments` puts into the slot once it is loaded. What is recorded until then is kept, in a bounded queue, and handed
over.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Protocol

from cqox.telemetry.metric_definitions import Series

__all__ = ["Labels", "Reading", "Sink", "count", "deliver_to", "read", "readings", "record", "watch"]

type Labels = Mapping[str, str | int]
type Reading = Callable[[], Iterable[tuple[float, Labels]]]
"""Callback that returns values with their labels without blocking; called on an exporter thread."""

_MOST_WAITING = 20_000


class Sink(Protocol):
    """Receiver of measurements."""

    def take(self, series: Series, value: float, labels: Labels) -> None:
        """Add to a counter, or record in a histogram."""
        ...


class _Buffer:
    """Bounded buffer of measurements until a sink is set; drops the oldest when full."""

    def __init__(self) -> None:
        self.kept: deque[tuple[Series, float, dict[str, str | int]]] = deque(maxlen=_MOST_WAITING)

    def take(self, series: Series, value: float, labels: Labels) -> None:
        self.kept.append((series, value, dict(labels)))


class _Discard:
    def take(self, series: Series, value: float, labels: Labels) -> None:
        pass


_waiting = _Buffer()
_nowhere = _Discard()
_sink: Sink = _nowhere
_lock = Lock()
_readings: dict[str, list[Reading]] = {}


def record(series: Series, value: float, labels: Labels | None = None) -> None:
    """Record a value in a histogram."""
    _sink.take(series, value, labels or {})


def count(series: Series, labels: Labels | None = None, by: float = 1) -> None:
    """Add to a counter."""
    _sink.take(series, by, labels or {})


def watch(series: Series, reading: Reading) -> Callable[[], None]:
    """Register a callback that is read whenever the metric is collected.

    Returns:
        A function that unregisters it.
    """
    with _lock:
        _readings[series.name] = [*_readings.get(series.name, ()), reading]

    def end() -> None:
        with _lock:
            _readings[series.name] = [other for other in _readings[series.name] if other is not reading]

    return end


def read(series: Series) -> list[tuple[float, Labels]]:
    """Return the current values of all callbacks of a metric."""
    return [value for reading in readings(series) for value in reading()]


def readings(series: Series) -> tuple[Reading, ...]:
    """Return the registered callbacks of a metric."""
    return tuple(_readings.get(series.name, ()))


def deliver_to(sink: Sink | None) -> None:
    """Send measurements to `sink` from now on, buffered ones first; drop them with None."""
    global _sink
    _sink = _nowhere if sink is None else sink
    if sink is not None:
        while _waiting.kept:
            sink.take(*_waiting.kept.popleft())
    _waiting.kept.clear()


def keep_for_later() -> None:
    """Buffer measurements from now on until a sink is set."""
    global _sink
    _sink = _waiting
