"""Periodic OTLP export of the metrics of the `/metrics` reader. Imported only if used.

The SDK's periodic reader aggregates every measurement a second time, which is half the cost of a measurement.
"""

import logging
import threading

from opentelemetry.sdk.metrics.export import MetricExporter

from cqox.telemetry.prometheus import Exposition

__all__ = ["PeriodicExport"]

_log = logging.getLogger("cqox.telemetry")


class PeriodicExport:
    """Periodic export of all metrics on a dedicated thread.

    Args:
        exposition: reader of the metrics.
        exporter: OTLP exporter; it must accept cumulative temporality.
        seconds: export interval in seconds.
    """

    def __init__(self, exposition: Exposition, exporter: MetricExporter, *, seconds: float) -> None:
        self._exposition = exposition
        self._exporter = exporter
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry push", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Export a last time and stop; blocks as long as the collector does."""
        self._ended.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._seconds)
            try:
                data = self._exposition.collect()
                if data is not None:
                    self._exporter.export(data)
            except Exception:  # noqa: BLE001 - root of the thread; the next export may succeed
                _log.exception("the metrics could not be exported")
