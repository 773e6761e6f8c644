"""On the way to a collector: bounded, counted, and quiet about a collector that is away.

A span that finds the queue full is lost at once, the ones before it are kept; a batch that the collector does not take
is lost; what is still waiting when the process ends is lost. Each is counted by its reason and logged at most once a
minute. No request ever waits for any of it.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from threading import Lock

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from cqox.telemetry import metric_definitions, metrics

__all__ = ["CountedLogExporter", "CountedLogs", "CountedSpanExporter", "CountedSpans", "Ledger"]

_log = logging.getLogger("cqox.telemetry")
_SAY_AGAIN_SECONDS = 60.0


class Ledger:
    """How many records of one signal wait, and how many were lost and why.

    Args:
        signal: `traces` or `logs`.
        limit: how many may wait.
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, signal: str, limit: int, *, now: Callable[[], float] = time.monotonic) -> None:
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
        """How many were lost so far."""
        return self._lost

    @property
    def waiting(self) -> int:
        """How many wait to be handed to the exporter."""
        return self._waiting

    def admit(self) -> bool:
        """Whether there is room for one more; if not it counts as lost."""
        with self._lock:
            closed = self._closed
            if not closed and self._waiting < self._limit:
                self._waiting += 1
                return True
        self.lose(1, "shutdown" if closed else "queue_full")
        return False

    def handed_over(self, records: int) -> None:
        """Say that the exporter has them; `settled` follows."""
        with self._lock:
            self._waiting -= records
            self._on_the_way += records

    def settled(self, records: int, *, delivered: bool) -> None:
        """Say how a batch that was handed over has ended."""
        with self._lock:
            if self._closed:
                return
            self._on_the_way -= records
        if not delivered:
            self.lose(records, "not_delivered")

    def lose(self, records: int, reason: str) -> None:
        """Count records that will never arrive."""
        if records > 0:
            with self._lock:
                self._lost += records
                self._unsaid += records
            metrics.count(metric_definitions.LOST, {"signal": self._signal, "reason": reason}, records)
        self._say(reason)

    def close(self) -> None:
        """Count what still waits, or is with a collector that has not answered, as lost."""
        with self._lock:
            self._closed = True
            left, self._waiting, self._on_the_way = self._waiting + self._on_the_way, 0, 0
            # There is no later to say it in.
            self._said_at = -math.inf
        self.lose(left, "shutdown")

    def _say(self, reason: str) -> None:
        with self._lock:
            now = self._now()
            if not self._unsaid or now - self._said_at < _SAY_AGAIN_SECONDS:
                return
            unsaid, self._unsaid, self._said_at = self._unsaid, 0, now
        _log.warning("records of %s were lost: %d (%s); the collector is away or slow", self._signal, unsaid, reason)


class CountedSpans(SpanProcessor):
    """Lets spans through to a batch processor while there is room."""

    def __init__(self, inner: SpanProcessor, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: only a finished span is of use."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span, or count it as lost."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled and self._ledger.admit():
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Send what is queued; takes as long as the collector does."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; takes as long as the collector does."""
        return self._inner.force_flush(timeout_millis)


class CountedLogs(LogRecordProcessor):
    """Lets log records through to a batch processor while there is room."""

    def __init__(self, inner: LogRecordProcessor, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue the record, or count it as lost."""
        if self._ledger.admit():
            self._inner.on_emit(log_record)

    def shutdown(self) -> None:
        """Send what is queued; takes as long as the collector does."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; takes as long as the collector does."""
        return self._inner.force_flush(timeout_millis)


class CountedSpanExporter(SpanExporter):
    """Counts the batches that an exporter could not deliver."""

    def __init__(self, inner: SpanExporter, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand a batch to the collector."""
        self._ledger.handed_over(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self._ledger.settled(len(spans), delivered=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End what the exporter is doing."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)


class CountedLogExporter(LogRecordExporter):
    """Counts the batches that an exporter could not deliver."""

    def __init__(self, inner: LogRecordExporter, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Hand a batch to the collector."""
        self._ledger.handed_over(len(batch))
        result = LogRecordExportResult.FAILURE
        try:
            result = self._inner.export(batch)
        finally:
            self._ledger.settled(len(batch), delivered=result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End what the exporter is doing."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)
