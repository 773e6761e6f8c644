"""Traces, measures and logs of what CQOx does.

Importing it loads neither OpenTelemetry nor an event loop: worker processes do. `cqox.telemetry.setup.start` begins.
"""

from cqox.telemetry.context import TraceContext, from_headers
from cqox.telemetry.spans import (
    Attributes,
    Span,
    adopt,
    current,
    current_span,
    fresh_span,
    is_recording,
    server_span,
    span,
    unfinished,
    waited_for,
)

__all__ = [
    "Attributes",
    "Span",
    "TraceContext",
    "adopt",
    "current",
    "current_span",
    "fresh_span",
    "from_headers",
    "is_recording",
    "server_span",
    "span",
    "unfinished",
    "waited_for",
]
