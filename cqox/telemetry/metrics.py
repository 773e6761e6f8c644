"""Measures, recorded by the names in `series`.

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
"""Returns values with their labels, at once; called on a thread of the exporter."""

_MOST_WAITING = 20_000


class Sink(Protocol):
    """Takes measures."""

    def take(self, series: Series, value: float, labels: Labels) -> None:
        """Add to a counter, or put into a histogram."""
        ...


class _Waiting:
    """Keeps measures until there is somewhere to put them; what does not fit is the oldest."""

    def __init__(self) -> None:
        self.kept: deque[tuple[Series, float, dict[str, str | int]]] = deque(maxlen=_MOST_WAITING)

    def take(self, series: Series, value: float, labels: Labels) -> None:
        self.kept.append((series, value, dict(labels)))


class _Nowhere:
    def take(self, series: Series, value: float, labels: Labels) -> None:
        pass


_waiting = _Waiting()
_nowhere = _Nowhere()
_sink: Sink = _nowhere
_lock = Lock()
_readings: dict[str, list[Reading]] = {}


def record(series: Series, value: float, labels: Labels | None = None) -> None:
    """Put a value into a histogram."""
    _sink.take(series, value, labels or {})


def count(series: Series, labels: Labels | None = None, by: int = 1) -> None:
    """Add to a counter."""
    _sink.take(series, by, labels or {})


def watch(series: Series, reading: Reading) -> Callable[[], None]:
    """Have `reading` asked whenever somebody looks at the series.

    Returns:
        What ends it.
    """
    with _lock:
        _readings[series.name] = [*_readings.get(series.name, ()), reading]

    def end() -> None:
        with _lock:
            _readings[series.name] = [other for other in _readings[series.name] if other is not reading]

    return end


def read(series: Series) -> list[tuple[float, Labels]]:
    """What all who watch the series say now."""
    return [value for reading in readings(series) for value in reading()]


def readings(series: Series) -> tuple[Reading, ...]:
    """Who watches the series."""
    return tuple(_readings.get(series.name, ()))


def deliver_to(sink: Sink | None) -> None:
    """Hand measures to `sink` from now on, those kept so far first; with None, drop them."""
    global _sink
    _sink = _nowhere if sink is None else sink
    if sink is not None:
        while _waiting.kept:
            sink.take(*_waiting.kept.popleft())
    _waiting.kept.clear()


def keep_for_later() -> None:
    """Keep what is recorded from now on for the sink to come."""
    global _sink
    _sink = _waiting
