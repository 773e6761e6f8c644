"""Measures as Prometheus reads them. Imported only where somebody measures."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

__all__ = ["Exposition"]


class Exposition:
    """A metric reader, and what it reads as text.

    Attributes:
        reader: for a meter provider.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.reader = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type.

        Args:
            accept: the `Accept` header: text, or OpenMetrics where it is asked for.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
