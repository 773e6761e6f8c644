"""Text of a client neither shows a secret in a span nor loses the batch that the span is in."""

import logging
import sys

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from cqox.telemetry import span
from cqox.telemetry.log_records import OtlpHandler
from cqox.telemetry.safe_text import safe_text
from tests.recorded import Kept

SURROGATE = "column '\ud800' of Cookie: hunter2"


def test_a_span_with_a_lone_surrogate_can_be_sent(kept: Kept) -> None:
    with pytest.raises(ValueError), span("work", {"column": "\ud800", "columns": ["a", "\ud800"]}):
        raise ValueError(SURROGATE)
    sent = encode_spans(kept.spans).SerializeToString()
    assert rb"\ud800" in sent
    assert b"hunter2" not in sent


def test_a_log_record_with_a_lone_surrogate_can_be_sent() -> None:
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = OtlpHandler(provider.get_logger("test"))
    try:
        raise OSError(SURROGATE)
    except OSError:
        fields = {"event": SURROGATE, "column": SURROGATE, "authorization": "hunter2"}
        handler.emit(logging.LogRecord("x", logging.ERROR, __file__, 1, fields, None, sys.exc_info()))
    sent = encode_logs(exporter.get_finished_logs()).SerializeToString()
    assert rb"\ud800" in sent
    assert b"hunter2" not in sent


def test_a_long_text_is_cut_and_lines_stay_where_they_are_meant() -> None:
    assert len(safe_text("x" * 10_000_000)) < 40_000
    assert "[... 9967232 characters left out ...]" in safe_text("x" * 10_000_000)
    assert safe_text("a\nb\x1b", lines=True) == "a\nb\\x1b"
    assert safe_text("a\nb") == r"a\nb"
