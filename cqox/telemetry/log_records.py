"""Log records by OTLP: a handler of the standard library's logging. Imported only where they are wanted."""

import logging
import traceback
from collections.abc import Mapping

from opentelemetry._logs import Logger, LogRecord, SeverityNumber

from cqox.telemetry.secrets import masked

__all__ = ["OtlpHandler"]

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (0, SeverityNumber.DEBUG),
)
# The exporter's own complaints would come back to it for ever.
_NOT_SENT = ("opentelemetry", "cqox.telemetry")
_OF_STRUCTLOG = frozenset({"event", "level", "logger", "timestamp", "exc_info", "stack_info", "trace_id", "span_id"})


class OtlpHandler(logging.Handler):
    """Hands every record to a logger of OpenTelemetry, with the current trace and span.

    Args:
        logger: where they go.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record; never waits and never raises."""
        if record.name.startswith(_NOT_SENT):
            return
        try:
            self._logger.emit(_told(record))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)


def _told(record: logging.LogRecord) -> LogRecord:
    attributes: dict[str, str | bool | int | float] = {"logger.name": record.name}
    # structlog hands its event over as the message, a mapping with the words under `event`.
    if isinstance(record.msg, Mapping):
        body = str(record.msg.get("event", ""))
        for key, value in record.msg.items():
            if key not in _OF_STRUCTLOG and not key.startswith("_"):
                attributes[key] = value if isinstance(value, bool | int | float) else masked(str(value))
        error = record.msg.get("exc_info") or record.exc_info
    else:
        body, error = record.getMessage(), record.exc_info
    attributes |= _exception(error)
    return LogRecord(
        timestamp=int(record.created * 1e9),
        severity_text=record.levelname,
        severity_number=next(number for level, number in _SEVERITIES if record.levelno >= level),
        body=masked(body),
        attributes=attributes,
    )


def _exception(error: object) -> dict[str, str]:
    if isinstance(error, tuple):
        error = error[1]
    if not isinstance(error, BaseException):
        return {}
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": masked(str(error)),
        "exception.stacktrace": masked("".join(traceback.format_exception(error))),
    }
