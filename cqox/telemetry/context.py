"""W3C Trace Context: parsing, generation and propagation of trace and span ids. Pure.

Ids exist whether or not spans are recorded, so that responses, errors and log lines can always name their trace.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cqox import randomness

__all__ = ["TraceContext", "from_headers", "of_request_id", "to_headers"]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_MAX_STATE = 512
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """Ids and flags of one span.

    Attributes:
        trace_id: 32 hexadecimal digits, not all zero.
        span_id: 16 hexadecimal digits, not all zero.
        sampled: the sampled flag of the trace.
        state: `tracestate` as received; empty if there was none.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    @property
    def traceparent(self) -> str:
        """Format the context as a `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> "TraceContext":
        """Return the context of a new span in the same trace."""
        return TraceContext(
            trace_id=self.trace_id, span_id=randomness.token_hex(8), sampled=self.sampled, state=self.state
        )


def parse(traceparent: str, state: str = "") -> TraceContext | None:
    """Parse a `traceparent`; None if it is invalid."""
    match = _TRACEPARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    # Version 00 ends after the flags; later versions may append fields. Version ff is invalid.
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(
        trace_id=trace_id,
        span_id=span_id,
        sampled=bool(int(flags, 16) & _SAMPLED),
        state=state if len(state) <= _MAX_STATE else "",
    )


def from_headers(headers: Iterable[tuple[str, str]]) -> TraceContext | None:
    """Extract the caller's context; None if `traceparent` is missing, repeated or invalid."""
    parents: list[str] = []
    states: list[str] = []
    for name, value in headers:
        match name.lower():
            case "traceparent":
                parents.append(value)
            case "tracestate":
                states.append(value)
    return parse(parents[0], ",".join(states)) if len(parents) == 1 else None


def to_headers(context: TraceContext) -> list[tuple[str, str]]:
    """Return the headers that propagate `context` to the next service."""
    fields = [(TRACEPARENT, context.traceparent)]
    if context.state:
        fields.append((TRACESTATE, context.state))
    return fields


def of_request_id(request_id: str) -> TraceContext:
    """Derive the context of an untraced request from its request id; every service derives the same trace id."""
    trace_id = request_id
    if not _TRACE_ID.fullmatch(request_id) or not int(request_id, 16):
        trace_id = hashlib.blake2b(request_id.encode(), digest_size=16).hexdigest()
    return TraceContext(trace_id=trace_id, span_id=randomness.token_hex(8))
