"""Traces, metrics and logs of CQOx.

Importing this package loads neither OpenTelemetry nor an event loop, so that worker processes can import it.
`cqox.telemetry.setup.start` starts the telemetry of a process.
"""

from cqox.telemetry.context import TraceContext
from cqox.telemetry.propagation import extract
from cqox.telemetry.spans import (
    Attributes,
    Span,
    adopt,
    current,
    current_span,
    is_recording,
    server_span,
    span,
    unfinished,
    untraced,
    waited_for,
)

__all__ = [
    "Attributes",
    "Span",
    "TraceContext",
    "adopt",
    "current",
    "current_span",
    "extract",
    "is_recording",
    "server_span",
    "span",
    "unfinished",
    "untraced",
    "waited_for",
]
