import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from cqox.telemetry import metric_definitions
from cqox.telemetry.export_stats import (
    CountedLogExporter,
    CountedLogs,
    CountedSpanExporter,
    CountedSpans,
    ExportStats,
)
from tests.measured import Measured


def test_what_finds_no_room_is_lost_and_what_waited_before_is_kept(measured: Measured) -> None:
    stats = ExportStats("traces", 2)
    assert [stats.admit() for _ in range(5)] == [True, True, False, False, False]
    assert (stats.waiting, stats.lost) == (2, 3)
    stats.handed_over(2)
    assert stats.admit()
    assert measured.of(metric_definitions.LOST) == [{"signal": "traces", "reason": "queue_full"}] * 3


def test_what_still_waits_at_the_end_and_what_comes_later_is_lost(measured: Measured) -> None:
    stats = ExportStats("logs", 10)
    assert stats.admit()
    stats.close()
    assert not stats.admit()
    assert stats.lost == 2
    assert {labels["reason"] for labels in measured.of(metric_definitions.LOST)} == {"shutdown"}


def test_losses_are_logged_once_a_minute_with_all_since_the_last_time(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    stats = ExportStats("traces", 0, now=lambda: now[0])
    with caplog.at_level(logging.WARNING, "cqox.telemetry"):
        for second in range(0, 70, 10):
            now[0] = float(second)
            stats.lose(5, "not_delivered")
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(" lost: ")[1].split()[0] for line in said] == ["5", "30"]


def test_what_a_collector_has_not_answered_for_at_the_end_is_lost_once(measured: Measured) -> None:
    stats = ExportStats("traces", 10)
    for _ in range(5):
        stats.admit()
    stats.handed_over(2)
    stats.settled(2, delivered=True)
    stats.handed_over(2)
    stats.close()
    stats.settled(2, delivered=False)
    assert stats.lost == 3


def test_what_was_not_said_for_a_minute_is_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    stats = ExportStats("traces", 0, now=lambda: 0.0)
    with caplog.at_level(logging.WARNING, "cqox.telemetry"):
        stats.lose(1, "queue_full")
        stats.lose(6, "queue_full")
        stats.close()
        stats.close()
    assert [record.getMessage().split(" lost: ")[1].split()[0] for record in caplog.records] == ["1", "6"]


def test_a_loss_of_nothing_is_no_loss(measured: Measured) -> None:
    stats = ExportStats("traces", 1)
    stats.lose(0, "not_delivered")
    stats.close()
    assert stats.lost == 0
    assert not measured.values


class Inner:
    """A processor and an exporter of the SDK."""

    def __init__(self, result: object = None) -> None:
        self.result = result
        self.calls: list[object] = []

    def on_end(self, span: object) -> None:
        self.calls.append(span)

    def on_emit(self, record: object) -> None:
        self.calls.append(record)

    def export(self, batch: Sequence[object]) -> object:
        self.calls.append(batch)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.calls.append(timeout_millis)
        return False

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def ended(*, sampled: bool) -> Any:
    """An ended span as its processor gets it."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    context = SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=flags)
    return SimpleNamespace(get_span_context=lambda: context)


def test_spans_that_are_sampled_are_queued_while_there_is_room() -> None:
    inner, stats = Inner(), ExportStats("traces", 1)
    processor = CountedSpans(cast("SpanProcessor", inner), stats)
    one = ended(sampled=True)
    for span in (ended(sampled=False), one, ended(sampled=True), SimpleNamespace(get_span_context=lambda: None)):
        processor.on_end(span)
    assert inner.calls == [one]
    assert (stats.waiting, stats.lost) == (1, 1)


def test_log_records_are_queued_while_there_is_room() -> None:
    inner, stats = Inner(), ExportStats("logs", 1)
    processor = CountedLogs(cast("LogRecordProcessor", inner), stats)
    records: list[Any] = [object(), object()]
    for record in records:
        processor.on_emit(record)
    assert inner.calls == records[:1]
    assert (stats.waiting, stats.lost) == (1, 1)


EXPORTERS: list[Any] = [
    (CountedSpanExporter, SpanExportResult.SUCCESS, SpanExportResult.FAILURE),
    (CountedLogExporter, LogRecordExportResult.SUCCESS, LogRecordExportResult.FAILURE),
]


@pytest.mark.parametrize(("exporter", "success", "failure"), EXPORTERS)
def test_a_batch_that_is_not_delivered_is_lost_as_a_whole(exporter: Any, success: object, failure: object) -> None:
    for result, lost in ((success, 0), (failure, 3)):
        stats = ExportStats("traces", 3)
        assert all(stats.admit() for _ in range(3))
        assert exporter(Inner(result), stats).export([1, 2, 3]) is result
        assert (stats.waiting, stats.lost) == (0, lost)


@pytest.mark.parametrize(("exporter", "success", "failure"), EXPORTERS)
def test_a_batch_whose_export_raises_is_lost_too(exporter: Any, success: object, failure: object) -> None:
    stats = ExportStats("traces", 3)
    assert stats.admit()
    with pytest.raises(OSError, match="unreachable"):
        exporter(Inner(OSError("unreachable")), stats).export([1])
    stats.close()
    assert stats.lost == 1


@pytest.mark.parametrize("wrapper", [CountedSpans, CountedLogs, CountedSpanExporter, CountedLogExporter])
def test_flush_and_shutdown_are_those_of_the_inner_one(wrapper: Any) -> None:
    inner = Inner()
    outer = wrapper(inner, ExportStats("traces", 1))
    assert outer.force_flush(7) is False
    outer.shutdown()
    assert inner.calls == [7, "shutdown"]
