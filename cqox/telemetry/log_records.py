"""Export of log records by OTLP: a handler for the standard library's logging. Imported only if used."""

import logging
from collections.abc import Mapping

from opentelemetry._logs import Logger, LogRecord, SeverityNumber

from cqox.telemetry.failures import traceback_of
from cqox.telemetry.safe_text import safe_text
from cqox.telemetry.secrets import MASK, is_secret_name

__all__ = ["OtlpHandler"]

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (0, SeverityNumber.DEBUG),
)
# Records of the exporter itself would loop back to it.
_NOT_SENT = ("opentelemetry", "cqox.telemetry")
_OF_STRUCTLOG = frozenset({"event", "level", "logger", "timestamp", "exc_info", "stack_info", "trace_id", "span_id"})


class OtlpHandler(logging.Handler):
    """Logging handler that emits every record to an OpenTelemetry logger with the current trace and span ids.

    Args:
        logger: logger that receives the records.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; never blocks and never raises."""
        if record.name.startswith(_NOT_SENT):
            return
        try:
            self._logger.emit(_otel_record(record))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


def _otel_record(record: logging.LogRecord) -> LogRecord:
    attributes: dict[str, str | bool | int | float] = {"logger.name": record.name}
    # structlog passes its event dictionary as the message, with the text under `event`.
    if isinstance(record.msg, Mapping):
        body = str(record.msg.get("event", ""))
        for key, value in record.msg.items():
            if key not in _OF_STRUCTLOG and not key.startswith("_"):
                attributes[key] = MASK if is_secret_name(key) else _value(value)
        error = record.msg.get("exc_info") or record.exc_info
    else:
        body, error = record.getMessage(), record.exc_info
    attributes |= _exception(error)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        severity_text=record.levelname,
        severity_number=next(number for level, number in _SEVERITIES if record.levelno >= level),
        body=safe_text(body),
        attributes=attributes,
    )


def _value(given: object) -> str | bool | int | float:
    return given if isinstance(given, bool | int | float) else safe_text(str(given))


def _exception(error: object) -> dict[str, str]:
    if isinstance(error, tuple):
        error = error[1]
    if not isinstance(error, BaseException):
        return {}
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": safe_text(str(error)),
        "exception.stacktrace": safe_text(traceback_of(error), lines=True),
    }
