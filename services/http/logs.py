"""Logging: one line per event on standard output, readable on a terminal and JSON elsewhere.

Messages of the standard library's loggers (Hypercorn, the resilience library) take the same road. A message is never
rewritten: what the owner's document quotes literally is in the log literally.
"""

import logging
import sys
from typing import Literal

import structlog

from cqox import telemetry
from cqox.telemetry.secrets import masked

__all__ = ["set_up_logging"]


def set_up_logging(
    *, level: Literal["debug", "info", "warning", "error"], format: Literal["auto", "console", "json"], service: str
) -> None:
    """Configure structlog and the standard library's logging for this process.

    Args:
        level: the least severe messages that are kept.
        format: `auto` is `console` on a terminal and `json` elsewhere.
        service: put on every JSON line.
    """
    console = format == "console" or (format == "auto" and sys.stdout.isatty())

    def name_service(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if console else "iso", utc=not console),
    ]
    final: list[structlog.typing.Processor]
    if console:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=0)
        final = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_secrets(renderer)]
    else:
        final = [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            name_service,
            _name_trace,
            structlog.processors.format_exc_info,
            _mask,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "hypercorn.error", "hpack"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _without_secrets(render: structlog.typing.Processor) -> structlog.typing.Processor:
    # The whole line, because here it is the renderer that writes exceptions.
    def rendered(logger: object, method: str, event: structlog.typing.EventDict) -> str:
        return masked(str(render(logger, method, event)))

    return rendered


def _mask(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: object) -> object:
    match value:
        case str():
            return masked(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {name: _masked(each) for name, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
        case _:
            return masked(repr(value))


def _name_trace(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    context = telemetry.current()
    if context is not None:
        event["trace_id"], event["span_id"] = context.trace_id, context.span_id
    return event
