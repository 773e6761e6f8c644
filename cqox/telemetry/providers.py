"""OpenTelemetry providers of a process, built from settings. Imported only if used."""

import logging
import os
import platform
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    LogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter

from cqox.telemetry.exemplars import view_of
from cqox.telemetry.export_stats import CountedLogExporter, CountedLogs, CountedSpanExporter, CountedSpans, ExportStats
from cqox.telemetry.metric_definitions import SERIES
from cqox.telemetry.otlp_reader import PeriodicExport
from cqox.telemetry.prometheus import Exposition
from cqox.telemetry.settings import Protocol, TelemetrySettings

__all__ = [
    "SCHEMA_URL",
    "Metering",
    "logs_provider",
    "make_export_stats",
    "metrics_provider",
    "resource_of",
    "traces_provider",
]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.40.0"
"""Version of the semantic conventions that names follow."""

_NAMESPACE = "cqox"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_QUEUE_SIZE = 2048
_BATCH_SIZE = 512
_INTERVAL_MILLISECONDS = 60_000
# Temporality other than Prometheus' cumulative needs a separate reader.
_OWN_READING = (
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
)
# SDK logs about an unreachable collector are silenced: the export statistics log once a minute.
_CHATTY = (
    # SDK warnings about invalid headers contain them, and so tokens; `settings` has its own note.
    "opentelemetry.util.re",
    "opentelemetry.exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs._internal.export",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """Meter provider with its shutdown functions.

    Attributes:
        provider: meter provider.
        ends: shutdown functions, in order; each blocks as long as the collector does.
    """

    provider: MeterProvider
    ends: tuple[Callable[[], object], ...]


def resource_of(service: str, version: str, instance: str) -> Resource:
    """Build the resource: service, host, process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence.

    The command line of the process is left out: it may hold a password.
    """
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ours: dict[str, str | int] = {
        "service.name": service,
        "service.namespace": _NAMESPACE,
        "service.version": version,
        "service.instance.id": instance,
        "host.name": socket.gethostname(),
        "host.arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os.type": platform.system().lower(),
        "process.pid": os.getpid(),
        "process.executable.name": os.path.basename(sys.executable),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
    }
    named = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    detected = Resource.create({}).attributes
    given = {part.partition("=")[0].strip() for part in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")}
    if named:
        given.add("service.name")
    return Resource({**detected, **{key: value for key, value in ours.items() if key not in given}}, SCHEMA_URL)


def traces_provider(settings: TelemetrySettings, resource: Resource, stats: ExportStats) -> TracerProvider:
    """Build the tracer provider with the configured exporters; `stats` counts dropped spans."""
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    protocol = settings.otlp.get("traces")
    if protocol is not None:
        exporter = CountedSpanExporter(_span_exporter(protocol, settings.traces_endpoint), stats)
        provider.add_span_processor(
            CountedSpans(BatchSpanProcessor(exporter, max_export_batch_size=_batch_size("BSP")), stats)
        )
    if "traces" in settings.console:
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout, formatter=_one_line)))
    return provider


def metrics_provider(settings: TelemetrySettings, resource: Resource, exposition: Exposition) -> Metering:
    """Build the meter provider for `exposition` with the configured exporters."""
    readers: list[MetricReader] = [exposition.reader]
    exporter = _metric_exporter(settings.otlp["metrics"]) if "metrics" in settings.otlp else None
    shared = exporter is not None and not any(os.environ.get(name) for name in _OWN_READING)
    if exporter is not None and not shared:
        readers.append(PeriodicExportingMetricReader(exporter))
    if "metrics" in settings.console:
        readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stdout)))
    views = [view_of(each) for each in SERIES]
    provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False, views=views)
    ends: list[Callable[[], object]] = [provider.shutdown]
    if exporter is not None and shared:
        seconds = _number("OTEL_METRIC_EXPORT_INTERVAL", _INTERVAL_MILLISECONDS) / 1e3
        # Before the provider, whose shutdown discards its metrics.
        ends.insert(0, PeriodicExport(exposition, exporter, seconds=seconds).shutdown)
    return Metering(provider=provider, ends=tuple(ends))


def logs_provider(settings: TelemetrySettings, resource: Resource, stats: ExportStats) -> LoggerProvider:
    """Build the logger provider with the configured exporters; `stats` counts dropped records."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    protocol = settings.otlp.get("logs")
    if protocol is not None:
        exporter = CountedLogExporter(_log_exporter(protocol), stats)
        provider.add_log_record_processor(
            CountedLogs(BatchLogRecordProcessor(exporter, max_export_batch_size=_batch_size("BLRP")), stats)
        )
    if "logs" in settings.console:
        provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=sys.stdout)))
    return provider


def make_export_stats() -> tuple[ExportStats, ExportStats]:
    """Create the export statistics of traces and logs, with the limits of their batch processors."""
    return (
        ExportStats("traces", _queue_size("BSP")),
        ExportStats("logs", _queue_size("BLRP")),
    )


def _queue_size(processor: str) -> int:
    return _number(f"OTEL_{processor}_MAX_QUEUE_SIZE", _QUEUE_SIZE)


def _batch_size(processor: str) -> int:
    # The SDK rejects a batch size above the queue size, including its own default.
    return min(_number(f"OTEL_{processor}_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE), _queue_size(processor))


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isdecimal() and int(text) else default


def _span_exporter(protocol: Protocol, endpoint: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter

        return GrpcSpanExporter(endpoint, insecure=True) if endpoint else GrpcSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint or None)


def _metric_exporter(protocol: Protocol) -> MetricExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter

        return GrpcMetricExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


def _log_exporter(protocol: Protocol) -> LogRecordExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter

        return GrpcLogExporter()
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter()


def _one_line(span: ReadableSpan) -> str:
    # Standard output holds one JSON object per line; spans follow that format.
    return f"{span.to_json(indent=None)}\n"
