"""Exposition of metrics in the Prometheus format. Imported only if metrics are recorded."""

from threading import Lock

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricsData
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

__all__ = ["Exposition"]


class _Reader(PrometheusMetricReader):
    """Metric reader that returns collected data, for a scrape or as it is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(scope_info_enabled=False, registry=registry)
        self.scraped = True
        self.collected: MetricsData | None = None

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        if self.scraped:
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)
        else:
            self.collected = metrics_data


class Exposition:
    """Metric reader with its Prometheus text output.

    Attributes:
        reader: reader to register with a meter provider.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.reader = _Reader(self._registry)
        self._lock = Lock()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition text and its content type.

        Args:
            accept: `Accept` header; selects OpenMetrics if requested, else text.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # An invalid version such as `a.b`: fall back to the default format.
            encode, content_type = choose_encoder("")
        with self._lock:
            return encode(self._registry), content_type

    def collect(self) -> MetricsData | None:
        """Collect the metrics as data for an exporter."""
        with self._lock:
            self.reader.scraped, self.reader.collected = False, None
            try:
                self.reader.collect()
            finally:
                self.reader.scraped = True
            return self.reader.collected
