"""Counts of events by metric and labels."""

from collections import Counter
from threading import Lock

from cqox.resilience.observability.events import counted
from cqox.resilience.observability.metrics import Metric
from cqox.resilience.observability.state import Reading, births
from cqox.resilience.pipeline.events import Event
from cqox.resilience.pipeline.registry import Registry

__all__ = ["EventCounts"]


class EventCounts:
    """Listener for `cqox.resilience.subscribe` that counts what the events mean; from any thread."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, tuple[str, ...]]]()
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Count the event."""
        for metric, labels in counted(event):
            key = metric.name, tuple(labels[label] for label in metric.labels)
            with self._lock:
                self._counts[key] += 1

    def read(self, metric: Metric, policies: Registry) -> list[Reading]:
        """Return the counts of a metric, 0 for the labels that registered policies will use."""
        with self._lock:
            found = {labels: count for (name, labels), count in self._counts.items() if name == metric.name}
        for known in births(metric, policies):
            found.setdefault(tuple(known.values()), 0)
        return [(count, dict(zip(metric.labels, labels, strict=True))) for labels, count in found.items()]
