"""Lightweight OpenTelemetry span with a single writer: the task that it belongs to.

The SDK's span locks, copies and validates for unknown writers, which is most of its cost. This one has a single writer
and trusted attributes. It implements the OpenTelemetry interface: it can be the current span, have children, and be
passed to span processors.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes as OtelAttributes
from opentelemetry.util.types import AttributeValue

from cqox.telemetry.context import TraceContext
from cqox.telemetry.failures import traceback_of
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.safe_text import safe_text
from cqox.telemetry.spans import Attributes, Value

__all__ = ["LightSpan", "ours"]

_MOST_EVENTS = 128
_UNSET = Status(StatusCode.UNSET)


class LightSpan(trace.Span):
    """Span with a single writer; created by `OpenTelemetryRecorder`.

    Args:
        name: name of the operation.
        ids: context of the span.
        parent: context of the parent; None for a root span.
        kind: kind of the span.
        attributes: initial attributes; owned by the span.
        links: links to other spans.
        start_ns: nanoseconds since the epoch; now if None.
        keep: receives the ended span; None for a span that is not kept.
        silent: whether what happens inside it is not kept either, in whichever task.

    Attributes:
        ids: as given; so are `parent`, `kind` and `silent`.
        name: current name.
        attributes: attributes by name.
        events: events in order, at most 128.
        links: links to other spans.
        status: unset, or the error.
        start_ns: nanoseconds since the epoch.
        end_ns: nanoseconds since the epoch; None before the end.
    """

    def __init__(
        self,
        name: str,
        ids: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        links: tuple[Link, ...],
        start_ns: int | None,
        keep: "Callable[[LightSpan], None] | None",
        silent: bool = False,
    ) -> None:
        self.ids = ids
        self.parent = parent
        self.kind = kind
        self.end_ns: int | None = None
        self.name = name
        self.attributes = attributes
        self.links = links
        self._keep = keep
        self.silent = silent
        self.events: list[Event] = []
        self.status = _UNSET
        self._settled = False
        self._context: TraceContext | None = None
        self._token: Token[Context] | None = None
        self.start_ns = time.time_ns() if start_ns is None else start_ns

    # Interface of `cqox.telemetry.spans`

    @property
    def context(self) -> TraceContext | None:
        if self._context is None:
            self._context = ours(self.ids)
        return self._context

    @property
    def recording(self) -> bool:
        return self._keep is not None and self.end_ns is None

    @property
    def kept(self) -> bool:
        """True if the span and its descendants are kept."""
        return self._keep is not None

    def rename(self, name: str) -> None:
        self.name = name

    def set(self, **attributes: Value) -> None:
        self.add({name.replace("__", "."): value for name, value in attributes.items()})

    def add(self, attributes: Attributes) -> None:
        if self.end_ns is None:
            self.attributes.update(attributes)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self.add_event(name, attributes)

    def fail(self, kind: str, description: str = "") -> None:
        self._settled = True
        self.add({"error.type": kind})
        self.set_status(Status(StatusCode.ERROR, safe_text(description) or None))

    def error(self, error: BaseException) -> None:
        self.record_exception(error)

    def cancel(self) -> None:
        self._settled = True
        self.add({"cqox.cancelled": True})

    def __enter__(self) -> Self:
        self._token = otel_context.attach(trace.set_span_in_context(self))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None and not self._settled:
            self._ended_by(exc)
        self.end()
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None

    def _ended_by(self, error: BaseException) -> None:
        match outcome_of(error):
            case Outcome.CANCELLED:
                self.add({"cqox.cancelled": True})
            case Outcome.REFUSED:
                self.add({"error.type": error_type(error)})
            case _:
                self.record_exception(error)
                self.fail(error_type(error), str(error))

    # Interface of OpenTelemetry

    def get_span_context(self) -> SpanContext:
        """Return the ids of the span."""
        return self.ids

    def is_recording(self) -> bool:
        """Return whether the span records."""
        return self.recording

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self.rename(name)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add one attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes."""
        if self.end_ns is None:
            self.attributes.update(attributes)

    def add_event(self, name: str, attributes: OtelAttributes = None, timestamp: int | None = None) -> None:
        """Add an event, up to the limit."""
        if self.recording and len(self.events) < _MOST_EVENTS:
            self.events.append(Event(name, attributes, timestamp))

    def add_link(self, context: SpanContext, attributes: OtelAttributes = None) -> None:
        """Add a link to another span."""
        if self.end_ns is None:
            self.links = (*self.links, Link(context, attributes))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status."""
        if self.end_ns is None:
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: OtelAttributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an exception event with its traceback."""
        if self.recording:
            module, name = type(exception).__module__, type(exception).__qualname__
            described: dict[str, AttributeValue] = {
                "exception.type": name if module == "builtins" else f"{module}.{name}",
                "exception.message": safe_text(str(exception)),
                "exception.stacktrace": safe_text(traceback_of(exception), lines=True),
                **(attributes or {}),
            }
            self.add_event("exception", described, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span now or at `end_time`; later calls have no effect."""
        if self.end_ns is None:
            self.end_ns = time.time_ns() if end_time is None else end_time
            if self._keep is not None:
                self._keep(self)


def ours(ids: SpanContext) -> TraceContext | None:
    """Convert an OpenTelemetry context to a `TraceContext`; None if it is invalid."""
    if not ids.is_valid:
        return None
    return TraceContext(
        trace_id=f"{ids.trace_id:032x}",
        span_id=f"{ids.span_id:016x}",
        sampled=ids.trace_flags.sampled,
        state=ids.trace_state.to_header() if ids.trace_state else "",
    )
