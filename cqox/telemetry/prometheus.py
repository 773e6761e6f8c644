"""Exposition of metrics in the Prometheus format. Imported only if metrics are recorded."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cqox.telemetry.families import families
from cqox.telemetry.series import Series

__all__ = ["Exposition"]


class _Reader(MetricReader):
    """Metric reader that returns what it collects."""

    def __init__(self) -> None:
        super().__init__()
        self.collected: MetricsData | None = None

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        self.collected = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Do nothing: nothing is open."""


class _Measured(Collector):
    def __init__(self, shown: Callable[[], Iterator[Metric]]) -> None:
        self._shown = shown

    def describe(self) -> list[Metric]:
        # Before there is a provider, nothing can be collected to learn the names from.
        return []

    def collect(self) -> Iterator[Metric]:
        return self._shown()


class Exposition:
    """Metric reader with its Prometheus text output.

    Args:
        series: definitions; their histograms are shown with the labels that are known, and counts of 0.

    Attributes:
        reader: reader to register with a meter provider.
        before: called before each collection, on the thread that collects.
    """

    def __init__(self, series: Sequence[Series] = ()) -> None:
        self._series = series
        self._registry = CollectorRegistry()
        self._registry.register(_Measured(self._shown))
        self.reader = _Reader()
        self.before: Callable[[], None] = lambda: None
        self._lock = Lock()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition text and its content type.

        Args:
            accept: `Accept` header; selects OpenMetrics if requested, which has exemplars, else text.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # An invalid version such as `a.b`: fall back to the default format.
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Return name, labels and value of every line of `render`."""
        return [
            (sample.name, sample.labels, float(sample.value))
            for metric in self._registry.collect()
            for sample in metric.samples
        ]

    def collect(self) -> MetricsData | None:
        """Collect the metrics as data for an exporter; None before there is a provider."""
        with self._lock:
            self.before()
            self.reader.collected = None
            self.reader.collect()
            return self.reader.collected

    def _shown(self) -> Iterator[Metric]:
        data = self.collect()
        if data is not None:
            yield from families(data, self._series)
