"""Export statistics: counts of queued and dropped records, and processors that bound the export queues.

A span is dropped if the queue is full, and earlier spans are kept; a batch that the collector rejects is dropped;
records still queued at the end of the process are dropped. Each loss is counted by its reason and logged at most once a
minute. No request waits for an export.
"""

import logging
import math
from collections.abc import Callable, Sequence
from threading import Lock

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from cqox import clock
from cqox.telemetry import metric_definitions, metrics

__all__ = ["CountedLogExporter", "CountedLogs", "CountedSpanExporter", "CountedSpans", "ExportStats"]

_log = logging.getLogger("cqox.telemetry")
_SAY_AGAIN_SECONDS = 60.0


class ExportStats:
    """Counts of queued records and of dropped records by reason, for one signal.

    Args:
        signal: `traces` or `logs`.
        limit: maximum number of queued records.
        now: monotonic clock in seconds.
    """

    def __init__(self, signal: str, limit: int, *, now: Callable[[], float] = clock.monotonic) -> None:
        self._signal = signal
        self._limit = limit
        self._now = now
        self._lock = Lock()
        self._waiting = 0
        self._on_the_way = 0
        self._lost = 0
        self._closed = False
        self._said_at = -math.inf
        self._unsaid = 0

    @property
    def lost(self) -> int:
        """Number of dropped records."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Number of records queued for the exporter."""
        return self._waiting

    def admit(self) -> bool:
        """Reserve a place in the queue; return False and count a loss if it is full."""
        with self._lock:
            closed = self._closed
            if not closed and self._waiting < self._limit:
                self._waiting += 1
                return True
        self.lose(1, "shutdown" if closed else "queue_full")
        return False

    def handed_over(self, records: int) -> None:
        """Move records from the queue to the exporter; `settled` must follow."""
        with self._lock:
            self._waiting -= records
            self._on_the_way += records

    def settled(self, records: int, *, delivered: bool) -> None:
        """Record the outcome of an exported batch."""
        with self._lock:
            if self._closed:
                return
            self._on_the_way -= records
        if not delivered:
            self.lose(records, "not_delivered")

    def lose(self, records: int, reason: str) -> None:
        """Count dropped records."""
        if records > 0:
            with self._lock:
                self._lost += records
                self._unsaid += records
            metrics.count(metric_definitions.LOST, {"signal": self._signal, "reason": reason}, records)
        self._say(reason)

    def close(self) -> None:
        """Count queued records, and batches without an answer, as dropped."""
        with self._lock:
            self._closed = True
            left, self._waiting, self._on_the_way = self._waiting + self._on_the_way, 0, 0
            # Log now: there is no later interval.
            self._said_at = -math.inf
        self.lose(left, "shutdown")

    def _say(self, reason: str) -> None:
        with self._lock:
            now = self._now()
            if not self._unsaid or now - self._said_at < _SAY_AGAIN_SECONDS:
                return
            unsaid, self._unsaid, self._said_at = self._unsaid, 0, now
        _log.warning("records of %s were lost: %d (%s); the collector is down or slow", self._signal, unsaid, reason)


class CountedSpans(SpanProcessor):
    """Span processor that admits spans to a batch processor while its queue has room."""

    def __init__(self, inner: SpanProcessor, stats: ExportStats) -> None:
        self._inner = inner
        self._stats = stats

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only finished spans are exported."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span, or count it as dropped."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled and self._stats.admit():
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Flush the queue; blocks as long as the collector does."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the queue; blocks as long as the collector does."""
        return self._inner.force_flush(timeout_millis)


class CountedLogs(LogRecordProcessor):
    """Log processor that admits records to a batch processor while its queue has room."""

    def __init__(self, inner: LogRecordProcessor, stats: ExportStats) -> None:
        self._inner = inner
        self._stats = stats

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue the record, or count it as dropped."""
        if self._stats.admit():
            self._inner.on_emit(log_record)

    def shutdown(self) -> None:
        """Flush the queue; blocks as long as the collector does."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the queue; blocks as long as the collector does."""
        return self._inner.force_flush(timeout_millis)


class CountedSpanExporter(SpanExporter):
    """Span exporter that counts the batches that could not be delivered."""

    def __init__(self, inner: SpanExporter, stats: ExportStats) -> None:
        self._inner = inner
        self._stats = stats

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch to the collector."""
        self._stats.handed_over(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._stats.settled(len(spans), delivered=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: this exporter buffers nothing."""
        return self._inner.force_flush(timeout_millis)


class CountedLogExporter(LogRecordExporter):
    """Log exporter that counts the batches that could not be delivered."""

    def __init__(self, inner: LogRecordExporter, stats: ExportStats) -> None:
        self._inner = inner
        self._stats = stats

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export a batch to the collector."""
        self._stats.handed_over(len(batch))
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            self._stats.settled(len(batch), delivered=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: this exporter buffers nothing."""
        return self._inner.force_flush(timeout_millis)
