"""Logging configuration of the process, and the flush at its exit."""

import atexit
import logging
import sys
import threading
from functools import partial
from types import TracebackType
from typing import Literal

import structlog

from services.http.observability.logs.lines import console_line, json_line
from services.http.observability.logs.output import Output
from services.http.observability.logs.snapshot import snapshot
from services.http.observability.logs.writer import Writer

__all__ = ["flush_logs", "set_up_logging"]

_LAST_WORDS_SECONDS = 1.0
_CHATTY = ("httpx", "httpcore", "hypercorn.error", "hpack")
_writer: Writer | None = None


def set_up_logging(
    *, level: Literal["debug", "info", "warning", "error"], format: Literal["auto", "console", "json"], service: str
) -> None:
    """Configure structlog and the standard library's logging for this process.

    Args:
        level: the lowest severity that is logged.
        format: `auto` is `console` on a terminal and `json` elsewhere.
        service: added to every line.
    """
    global _writer
    flush_logs()
    _writer = _writer_of(format, service)
    root = logging.getLogger()
    root.handlers = [_Handler(_writer)]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The interpreter would write them to standard error unescaped.
    sys.excepthook = _log_crash
    threading.excepthook = _log_crash_of_thread
    sys.unraisablehook = _log_unraisable
    atexit.unregister(flush_logs)
    atexit.register(flush_logs)


def flush_logs(seconds: float = _LAST_WORDS_SECONDS) -> bool:
    """Wait up to `seconds` until all queued entries are written; return whether they are.

    It runs at interpreter exit; a caller of `os._exit`, which skips that, has to call it.
    """
    return _writer is None or _writer.flush(seconds)


def _writer_of(format: str, service: str) -> Writer:
    output = Output()
    utf8 = output.encoding.lower().replace("-", "") in ("utf8", "utf8sig")
    if format == "console" or (format == "auto" and output.is_terminal):
        render = console_line(service, colors=output.is_terminal)
    else:
        render = json_line(service, ascii_only=not utf8)
    return Writer(render, partial(str.encode, encoding=output.encoding, errors="backslashreplace"), output.write)


class _Handler(logging.Handler):
    """A handler that passes a snapshot of every record to the writer."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record without blocking."""
        self._writer.put(snapshot(record))

    def flush(self) -> None:
        """Wait for the writer, as at interpreter exit."""
        self._writer.flush(_LAST_WORDS_SECONDS)


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, Exception | BaseExceptionGroup):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("cqox").critical("the process ends by an exception", exc_info=(kind, error, trace))


def _log_crash_of_thread(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
        name = crash.thread.name if crash.thread is not None else "?"
        logging.getLogger("cqox").error("the thread %s ended by an exception", name, exc_info=crash.exc_value)


def _log_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    logging.getLogger("cqox").error(
        "an exception could not be raised: %s", failure.err_msg or "ignored", exc_info=failure.exc_value
    )
