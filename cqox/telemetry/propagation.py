"""Propagation of trace contexts in header fields, in the formats that `OTEL_PROPAGATORS` names. Pure.

    tracecontext   `traceparent` and `tracestate` of W3C; see `context`
    baggage        `baggage` of W3C, which the gateway passes on as it is
    b3, b3multi    of Zipkin: one field, or several

The first format in which a caller has sent a context counts; one is sent to the next service in each of them.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence

from cqox.telemetry.context import TRACEPARENT, TRACESTATE, TraceContext, from_headers, to_headers

__all__ = ["DEFAULT_FORMATS", "FORMATS", "extract", "inject", "use"]

FORMATS = ("tracecontext", "baggage", "b3", "b3multi")
"""The formats that are understood."""

DEFAULT_FORMATS = ("tracecontext", "baggage")
"""Those in use where nothing says otherwise."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "tracecontext": (TRACEPARENT, TRACESTATE),
    "baggage": ("baggage",),
    "b3": ("b3",),
    "b3multi": ("x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"),
}
_TRACE_ID = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_NOT_SAMPLED = ("0", "false")
_TRACE_DIGITS = 32

_formats: tuple[str, ...] = DEFAULT_FORMATS
_unused: tuple[str, ...] = ()


def use(formats: Sequence[str]) -> tuple[str, ...]:
    """Read and write these formats from now on; return those before."""
    global _formats, _unused
    before, _formats = _formats, tuple(formats)
    # Fields of b3 are never passed on, so that only those of W3C can be left over.
    _unused = tuple(field for name in DEFAULT_FORMATS if name not in _formats for field in _FIELDS[name])
    return before


def extract(headers: Iterable[tuple[str, str]]) -> TraceContext | None:
    """Return the caller's context; None if it sent none in a format that is in use."""
    if _formats == DEFAULT_FORMATS:
        return from_headers(headers)
    fields = [(name.lower(), value.strip()) for name, value in headers]
    for name in _formats:
        found = from_headers(fields) if name == "tracecontext" else _b3(name, dict(fields))
        if found is not None:
            return found
    return None


def inject(headers: MutableMapping[str, str], context: TraceContext | None) -> None:
    """Write a context into the fields of a request, in place of one that was passed on.

    Args:
        headers: the fields; names in any case.
        context: that of the current span; None to leave what was passed on, in the formats in use.
    """
    for field in _unused:
        headers.pop(field, None)
    if context is None:
        return
    for name in _formats:
        if name == "tracecontext":
            for field in _FIELDS[name]:
                headers.pop(field, None)
            headers.update(to_headers(context))
        elif name == "b3":
            headers["b3"] = f"{context.trace_id}-{context.span_id}-{context.sampled:d}"
        elif name == "b3multi":
            headers["X-B3-TraceId"] = context.trace_id
            headers["X-B3-SpanId"] = context.span_id
            headers["X-B3-Sampled"] = f"{context.sampled:d}"


def _b3(name: str, fields: Mapping[str, str]) -> TraceContext | None:
    if name == "b3":
        parts = fields.get("b3", "").split("-")
        # A lone part is a decision without a trace.
        trace_id, span_id, sampled, *_ = [*parts, "", "", ""] if len(parts) > 1 else ("", "", "")
    elif name == "b3multi":
        trace_id, span_id = fields.get("x-b3-traceid", ""), fields.get("x-b3-spanid", "")
        sampled = "d" if fields.get("x-b3-flags") == "1" else fields.get("x-b3-sampled", "")
    else:
        return None
    trace_id, span_id = trace_id.lower(), span_id.lower()
    if not _TRACE_ID.fullmatch(trace_id) or not _SPAN_ID.fullmatch(span_id):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    # Where the caller leaves the decision to us, we keep the trace.
    return TraceContext(
        trace_id=trace_id.rjust(_TRACE_DIGITS, "0"), span_id=span_id, sampled=sampled.lower() not in _NOT_SAMPLED
    )
