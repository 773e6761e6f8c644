"""Start and shutdown of the telemetry of a process.

OpenTelemetry is not imported unless a signal is exported, except for metrics, which `/metrics` always shows: they are
set up on a thread while the service starts, and measurements are buffered meanwhile.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cqox.tasks import observe_tasks
from cqox.telemetry import metrics, propagation
from cqox.telemetry.metric_definitions import SERIES
from cqox.telemetry.policies import watch_policies
from cqox.telemetry.settings import TelemetrySettings, settings_from
from cqox.telemetry.spans import record_with
from cqox.telemetry.tasks import TaskSpans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

__all__ = ["STOP_SECONDS", "Telemetry", "start"]

STOP_SECONDS = 1.0
"""Maximum time that shutdown waits for collectors, all signals together; an idle process exits within 2 s in all,
even on a loaded machine."""

_SCOPE = "cqox"
_METRICS_PATIENCE_SECONDS = 5.0
_log = logging.getLogger("cqox.telemetry")


class Telemetry:
    """Running telemetry of a process; created by `start`.

    Attributes:
        settings: settings from the environment.
    """

    def __init__(self, service: str, version: str, settings: TelemetrySettings, *, task_ratio: float) -> None:
        self.settings = settings
        self._service = service
        self._version = version
        self._task_ratio = task_ratio
        self._instance = str(uuid.uuid4())
        self._exposition: Callable[[str], tuple[bytes, str]] | None = None
        self._samples: Callable[[], list[tuple[str, dict[str, str], float]]] | None = None
        self._measuring = threading.Event()
        self._undo: list[Callable[[], object]] = []
        self._flush: list[Callable[[], object]] = []
        self._close: list[Callable[[], object]] = []
        self._stopped = False

    def begin(self) -> None:
        """Set up the configured signals, metrics on a dedicated thread."""
        for note in self.settings.notes:
            _log.warning(note)
        before = propagation.use(self.settings.propagators)
        self._undo.append(lambda: propagation.use(before))
        if self.settings.disabled:
            self._measuring.set()
            return
        metrics.keep_for_later()
        self._undo += [lambda: metrics.deliver_to(None), watch_policies()]
        for signal, begin in (("traces", self._begin_traces), ("logs", self._begin_logs)):
            if signal in self.settings.signals:
                self._without_fail(signal, begin)
        threading.Thread(target=self._begin_metrics, name="telemetry metrics", daemon=True).start()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics in the Prometheus format, and the content type. Blocks until metrics are set up.

        Args:
            accept: `Accept` header of the request.
        """
        self._measuring.wait(_METRICS_PATIENCE_SECONDS)
        if self._exposition is None:
            return b"", "text/plain; version=0.0.4; charset=utf-8"
        return self._exposition(accept)

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Return name, labels and value of every sample of `exposition`; none until metrics are set up. Blocks."""
        return [] if self._samples is None else self._samples()

    def until_stopped(self, end: Callable[[], object]) -> None:
        """Register a function to call at shutdown, after the last metrics were exported."""
        self._undo.append(end)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Flush for at most `seconds` and count the rest as dropped. Blocks; run it on a thread."""
        if self._stopped:
            return
        self._stopped = True
        # Exporters ignore their timeout while a collector is unreachable: their daemon threads are abandoned.
        flushing = [threading.Thread(target=flush, daemon=True, name="telemetry flush") for flush in self._flush]
        for thread in flushing:
            thread.start()
        end = time.monotonic() + seconds
        for thread in flushing:
            thread.join(max(0.0, end - time.monotonic()))
        for close in self._close:
            close()
        for undo in reversed(self._undo):
            undo()

    def _begin_traces(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import Tracer

        from cqox.telemetry import providers
        from cqox.telemetry.recorder import OpenTelemetryRecorder

        stats, _ = providers.make_export_stats()
        provider = providers.traces_provider(self.settings, self._resource(), stats)
        trace.set_tracer_provider(provider)
        tracer = provider.get_tracer(_SCOPE, self._version, providers.SCHEMA_URL)
        assert isinstance(tracer, Tracer)
        recorder = OpenTelemetryRecorder(tracer)
        before, watching = record_with(recorder), observe_tasks(TaskSpans(recorder, ratio=self._task_ratio))
        self._undo += [lambda: record_with(before), lambda: observe_tasks(watching)]
        self._flush.append(provider.shutdown)
        self._close.append(stats.close)

    def _begin_logs(self) -> None:
        from cqox.telemetry import providers
        from cqox.telemetry.log_records import OtlpHandler

        _, stats = providers.make_export_stats()
        provider = providers.logs_provider(self.settings, self._resource(), stats)
        handler = OtlpHandler(provider.get_logger(_SCOPE, self._version, providers.SCHEMA_URL))
        logging.getLogger().addHandler(handler)
        self._undo.append(lambda: logging.getLogger().removeHandler(handler))
        self._flush.append(provider.shutdown)
        self._close.append(stats.close)

    def _begin_metrics(self) -> None:
        try:
            if not self._without_fail("metrics", lambda: self._measure(self.settings)):
                # `/metrics` does not need an exporter.
                self._measure(replace(self.settings, otlp={}, console=frozenset()))
        except Exception as error:
            metrics.deliver_to(None)
            if self._stopped:
                return
            if not isinstance(error, ImportError):
                raise
            # The library may be installed without this extra; the services require it.
            _log.warning("Metrics are not available: %s", error)
        finally:
            self._measuring.set()

    def _measure(self, settings: TelemetrySettings) -> None:
        from cqox.telemetry import providers
        from cqox.telemetry.instruments import Instruments
        from cqox.telemetry.prometheus import Exposition

        exposition = Exposition([one for one in SERIES if one.service in ("both", self._service)])
        metering = providers.metrics_provider(settings, self._resource(), exposition)
        instruments = Instruments(metering.provider.get_meter(_SCOPE, self._version, providers.SCHEMA_URL))
        exposition.before = partial(instruments.bear, self._service)
        self._exposition, self._samples = exposition.render, exposition.samples
        self._flush.append(lambda: [end() for end in metering.ends])
        if not self._stopped:
            metrics.deliver_to(instruments)

    def _without_fail(self, signal: str, begin: Callable[[], None]) -> bool:
        """Start a signal and return whether it started; a service starts without a signal that fails."""
        try:
            begin()
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001 - exporters raise any exception on invalid settings
            # A process may begin to exit before its metrics start: no thread can be started then.
            if not self._stopped:
                _log.warning("%s are not exported: %s", signal, str(error) or type(error).__name__)
            return False
        return True

    def _resource(self) -> "Resource":
        from cqox.telemetry.providers import resource_of

        return resource_of(self._service, self._version, self._instance)


def start(
    service: str, *, version: str, environ: Mapping[str, str] | None = None, task_ratio: float = 1.0
) -> Telemetry:
    """Start the telemetry of this process as configured by the environment, see `settings`.

    Args:
        service: service name in traces and metrics.
        version: service version.
        environ: environment; that of the process if None. Exporters read their variables from the process.
        task_ratio: the share of tasks that get a span.
    """
    telemetry = Telemetry(
        service, version, settings_from(os.environ if environ is None else environ), task_ratio=task_ratio
    )
    telemetry.begin()
    return telemetry
