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

__all__ = [
    "Births",
    "Labels",
    "Reading",
    "Sink",
    "births",
    "born",
    "count",
    "deliver_to",
    "read",
    "readings",
    "record",
    "watch",
]

type Labels = Mapping[str, str | int]
type Reading = Callable[[], Iterable[tuple[float, Labels]]]
"""Callback that returns values with their labels without blocking; called on an exporter thread."""

type Births = Callable[[], Iterable[Labels]]
"""Callback that returns labels to show at 0 without blocking; called on an exporter thread."""

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
_births: dict[str, list[Births]] = {}


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


def born(series: Series, labels: Births) -> Callable[[], None]:
    """Show a counter or histogram with these labels at 0 until it is recorded, so that a rate sees the first increment.

    Returns:
        A function that unregisters the callback; what was shown stays.
    """
    with _lock:
        _births[series.name] = [*_births.get(series.name, ()), labels]

    def end() -> None:
        with _lock:
            _births[series.name] = [other for other in _births[series.name] if other is not labels]

    return end


def births(series: Series) -> list[Labels]:
    """Return the labels with which a metric is shown at 0: those of its definition, and those registered."""
    known: list[Labels] = [dict(zip(series.labels, values, strict=True)) for values in series.born]
    if not series.labels:
        known.append({})
    return known + [labels for reading in _births.get(series.name, ()) for labels in reading()]


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
