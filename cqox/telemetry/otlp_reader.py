"""Measures by OTLP from the reader that `/metrics` has. Imported only where they are wanted.

The SDK's own exporting reader keeps every measure a second time, which is half of what a measure costs.
"""

import logging
import threading

from opentelemetry.sdk.metrics.export import MetricExporter

from cqox.telemetry.prometheus import Exposition

__all__ = ["Pushed"]

_log = logging.getLogger("cqox.telemetry")


class Pushed:
    """Sends all measures again and again, from a thread of its own.

    Args:
        exposition: what has them.
        exporter: what sends them; it must take values that add up from the start.
        seconds: between two times.
    """

    def __init__(self, exposition: Exposition, exporter: MetricExporter, *, seconds: float) -> None:
        self._exposition = exposition
        self._exporter = exporter
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry push", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Send them a last time; takes as long as the collector does."""
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
            except Exception:  # noqa: BLE001 - the root of the thread; the next time may be better
                _log.exception("the measures could not be sent")
