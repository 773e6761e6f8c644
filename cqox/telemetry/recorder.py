"""Spans kept by OpenTelemetry. Imported only where somebody has asked for traces."""

from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.trace.span import TraceState

from cqox.telemetry import spans
from cqox.telemetry.context import TraceContext, parse
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.spans import Attributes, Value

__all__ = ["OpenTelemetryRecorder"]

_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_EMPTY = Context()


class _Recorded:
    """A span of OpenTelemetry as CQOx speaks of it."""

    __slots__ = ("_settled", "_span", "_token")

    def __init__(self, recorded: trace.Span) -> None:
        self._span = recorded
        self._token: Token[Context] | None = None
        self._settled = False

    @property
    def context(self) -> TraceContext | None:
        return _ours(self._span.get_span_context())

    @property
    def recording(self) -> bool:
        return self._span.is_recording()

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, **attributes: Value) -> None:
        self.add({name.replace("__", "."): value for name, value in attributes.items()})

    def add(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self._span.add_event(name, attributes)

    def fail(self, kind: str, description: str = "") -> None:
        self._settled = True
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, description or None))

    def error(self, error: BaseException) -> None:
        self._span.record_exception(error)

    def cancel(self) -> None:
        self._settled = True
        self._span.set_attribute("cqox.cancelled", True)

    def __enter__(self) -> Self:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None and not self._settled:
            self.ended_by(exc)
        self._span.end()
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None

    def ended_by(self, error: BaseException) -> None:
        """Say how `error` ended the work."""
        match outcome_of(error):
            case Outcome.CANCELLED:
                self._span.set_attribute("cqox.cancelled", True)
            case Outcome.REFUSED:
                self._span.set_attribute("error.type", error_type(error))
            case _:
                self._span.record_exception(error)
                self._span.set_attribute("error.type", error_type(error))
                self._span.set_status(Status(StatusCode.ERROR, str(error)))


class OpenTelemetryRecorder:
    """Fills the slot of `spans` with a tracer.

    Args:
        tracer: where spans are made.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start(
        self,
        name: str,
        kind: spans.SpanKind,
        attributes: Attributes | None,
        *,
        parent: TraceContext | None = None,
        root: bool = False,
        link: TraceContext | None = None,
        start_ns: int | None = None,
    ) -> _Recorded:
        """A span, child of `parent`, or of the current one; with `root` of neither."""
        around = _EMPTY if root else None
        if parent is not None:
            around = trace.set_span_in_context(NonRecordingSpan(_theirs(parent)), _EMPTY)
        return _Recorded(
            self._tracer.start_span(
                name,
                around,
                _KINDS[kind],
                attributes,
                [Link(_theirs(link))] if link is not None else None,
                start_ns,
                # What a span's end says of an exception is decided in `_Recorded`, cancellations first of all.
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def current(self) -> TraceContext | None:
        """The ids of the current span."""
        return _ours(trace.get_current_span().get_span_context())

    def current_span(self) -> _Recorded:
        """The current span, to say more to it."""
        return _Recorded(trace.get_current_span())

    def forget(self) -> None:
        """Make no span the current one, for the rest of the calling task."""
        otel_context.attach(_EMPTY)

    def adopt(self, told: Mapping[str, object]) -> None:
        """Keep a span that a worker process told of, as `remote` writes it."""
        parent = parse(str(told.get("parent", "")))
        start, end = told.get("start_ns"), told.get("end_ns")
        attributes = told.get("attributes")
        if parent is None or not isinstance(start, int) or not isinstance(end, int):
            return
        kept = self.start(
            str(told.get("name", "")),
            "internal",
            attributes if isinstance(attributes, dict) else None,
            parent=parent,
            start_ns=start,
        )
        error = told.get("error")
        if isinstance(error, str):
            kept.fail(error, str(told.get("description", "")))
        kept._span.end(end)


def _ours(context: SpanContext) -> TraceContext | None:
    if not context.is_valid:
        return None
    return TraceContext(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        sampled=context.trace_flags.sampled,
        state=context.trace_state.to_header() if context.trace_state else "",
    )


def _theirs(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=_SAMPLED if context.sampled else _NOT_SAMPLED,
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )
