"""Policies as metrics of `prometheus_client` (the extra `prometheus`), read when they are scraped.

The metrics are defined in `cqox.resilience.observability.metrics`.
"""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from cqox.resilience.observability.event_counts import EventCounts
from cqox.resilience.observability.metrics import METRICS, REJECTIONS, Metric
from cqox.resilience.observability.state import Reading, read
from cqox.resilience.pipeline.events import subscribe
from cqox.resilience.pipeline.registry import Registry, registry

__all__ = ["PolicyCollector"]


class PolicyCollector(Collector):
    """Collector for `prometheus_client.REGISTRY.register`; it reads the registered parts when it is scraped.

    A call costs nothing then. Retries, timeouts and changes of state are kept by no part: with `events`, a listener
    counts them, and each call of a policy with a retry makes the event of its first attempt.
    """

    def __init__(self, policies: Registry = registry, *, events: bool = False) -> None:
        """Make a collector.

        Args:
            policies: registry whose parts are read.
            events: whether events of all policies of the process are counted as well, until `close`.
        """
        self._policies = policies
        self._counts = EventCounts() if events else None
        self._unsubscribe = subscribe(self._counts) if self._counts is not None else None

    def close(self) -> None:
        """Stop counting events; idempotent."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def describe(self) -> Iterator[Family]:
        """Yield the metrics without values, by which a registry finds names that occur twice."""
        for metric in self._shown():
            yield _family(metric, ())

    def collect(self) -> Iterator[Family]:
        """Yield the metrics with their present values."""
        for metric in self._shown():
            yield _family(metric, self._values(metric))

    def _shown(self) -> Iterator[Metric]:
        for metric in METRICS:
            if self._counts is not None or metric.kind != "counter" or metric is REJECTIONS:
                yield metric

    def _values(self, metric: Metric) -> list[Reading]:
        if metric.kind == "counter" and self._counts is not None:
            return self._counts.read(metric, self._policies)
        return read(metric, self._policies)


def _family(metric: Metric, values: "list[Reading] | tuple[()]") -> Family:
    family = GaugeMetricFamily if metric.kind == "gauge" else CounterMetricFamily
    shown = family(metric.prometheus_name, metric.meaning, labels=metric.labels)
    for value, labels in values:
        shown.add_metric(list(labels.values()), value)
    return shown
