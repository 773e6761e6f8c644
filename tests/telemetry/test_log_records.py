import logging

import pytest
import structlog
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from cqox.telemetry import span
from cqox.telemetry.log_records import OtlpHandler
from tests.recorded import Kept


@pytest.fixture
def sent():
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = OtlpHandler(provider.get_logger("test"))
    logger = logging.getLogger("cqox.test.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: [each.log_record for each in exporter.get_finished_logs()]
    logger.removeHandler(handler)


def test_a_record_keeps_its_words_and_names_its_span(sent, kept: Kept) -> None:
    with span("work"):
        logging.getLogger("cqox.test.logs").warning("[Retry] Attempt %d/%d failed", 1, 3)
    (record,) = sent()
    assert record.body == "[Retry] Attempt 1/3 failed"
    assert record.severity_text == "WARNING"
    assert record.trace_id == kept.named("work").context.trace_id
    assert record.span_id == kept.named("work").context.span_id


def test_fields_of_structlog_are_kept_as_attributes(sent) -> None:
    log = structlog.wrap_logger(
        logging.getLogger("cqox.test.logs"),
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log.info("GET / 200", milliseconds=1.5, client="127.0.0.1", list=[1])
    (record,) = sent()
    assert record.body == "GET / 200"
    assert record.attributes["milliseconds"] == 1.5
    assert record.attributes["client"] == "127.0.0.1"
    assert record.attributes["list"] == "[1]"
    assert not [name for name in record.attributes if name.startswith("_")]


def test_an_exception_comes_with_its_trace(sent) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("cqox.test.logs").exception("failed")
    (record,) = sent()
    assert record.attributes["exception.type"] == "ValueError"
    assert "broken" in record.attributes["exception.stacktrace"]


@pytest.mark.parametrize("name", ["opentelemetry.exporter.x", "cqox.telemetry"])
def test_what_telemetry_says_of_itself_is_not_sent_round_and_round(sent, name: str) -> None:
    handler = logging.getLogger("cqox.test.logs").handlers[0]
    handler.emit(logging.LogRecord(name, logging.ERROR, __file__, 1, "away", None, None))
    assert sent() == []
