"""Recording of spans by OpenTelemetry. Imported only if traces are exported."""

from collections.abc import Mapping

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AttributeValue

from cqox.telemetry import spans
from cqox.telemetry.context import TraceContext, parse
from cqox.telemetry.escaping import escaped
from cqox.telemetry.recorded import LightSpan, ours
from cqox.telemetry.spans import Attributes

__all__ = ["OpenTelemetryRecorder"]

_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_EMPTY = Context()
_AS_MANY_AS_THERE_ARE = 128


class OpenTelemetryRecorder:
    """Recorder of `spans` that uses an OpenTelemetry tracer.

    The sampler decides once per trace, on the first span of the trace in this process; the other spans inherit the
    decision, as with any parent-based or trace-id sampler.

    Args:
        tracer: source of the sampler, id generator, resource and processors.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._sampler = tracer.sampler
        self._ids = tracer.id_generator
        self._resource = tracer.resource
        self._processor = tracer.span_processor
        self._scope = tracer._instrumentation_scope
        limits = SpanLimits()
        few = (limits.max_span_attributes or _AS_MANY_AS_THERE_ARE) < _AS_MANY_AS_THERE_ARE
        self._limits = limits if few or limits.max_span_attribute_length is not None else None

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
        silent: bool = False,
    ) -> LightSpan:
        """Start a span, see `cqox.telemetry.spans.Recorder`."""
        around: trace.Span | None = None if root else trace.get_current_span()
        if parent is not None:
            around = NonRecordingSpan(_theirs(parent))
        links = () if link is None else (Link(_theirs(link)),)
        given: dict[str, AttributeValue] = {**attributes} if attributes else {}
        if isinstance(around, LightSpan):
            above = around.ids
            ids = SpanContext(above.trace_id, self._ids.generate_span_id(), False, above.trace_flags, above.trace_state)
            return LightSpan(
                name,
                ids,
                above,
                _KINDS[kind],
                given,
                links,
                start_ns,
                self._keep if around.kept and not silent else None,
                silent or around.silent,
            )
        if silent:
            return self._unkept(name, _KINDS[kind], around)
        return self._first(name, _KINDS[kind], given, links, start_ns, around)

    def current(self) -> TraceContext | None:
        """Return the ids of the current span."""
        span = trace.get_current_span()
        return span.context if isinstance(span, LightSpan) else ours(span.get_span_context())

    def current_span(self) -> spans.Span:
        """Return the current span."""
        span = trace.get_current_span()
        return span if isinstance(span, LightSpan) else spans.NOTHING

    def forget(self) -> None:
        """Clear the current span for the rest of the calling task."""
        otel_context.attach(_EMPTY)

    def adopt(self, record: Mapping[str, object]) -> None:
        """Record a span or an event of the current span, reported by a worker process in the format of `remote`."""
        event = record.get("event")
        if isinstance(event, str):
            facts = record.get("attributes")
            self.current_span().event(event, facts if isinstance(facts, dict) else None)
            return
        parent = parse(str(record.get("parent", "")))
        start, end = record.get("start_ns"), record.get("end_ns")
        attributes = record.get("attributes")
        if parent is None or not isinstance(start, int) or not isinstance(end, int):
            return
        kept = self.start(
            str(record.get("name", "")),
            "internal",
            attributes if isinstance(attributes, dict) else None,
            parent=parent,
            start_ns=start,
        )
        error = record.get("error")
        if isinstance(error, str):
            kept.fail(error, str(record.get("description", "")))
        kept.end(end)

    def _first(
        self,
        name: str,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        links: tuple[Link, ...],
        start_ns: int | None,
        around: trace.Span | None,
    ) -> LightSpan:
        above = None if around is None else around.get_span_context()
        if above is None or not above.is_valid:
            above = None
            trace_id = self._ids.generate_trace_id()
        else:
            trace_id = above.trace_id
        context = _EMPTY if around is None else trace.set_span_in_context(around, _EMPTY)
        result = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
        ids = SpanContext(
            trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=_SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else _NOT_SAMPLED,
            trace_state=result.trace_state,
        )
        # A sampler returns the attributes together with its own.
        given = dict(result.attributes or {})
        keep = None if result.decision is Decision.DROP else self._keep
        return LightSpan(name, ids, above, kind, given, links, start_ns, keep)

    def _unkept(self, name: str, kind: SpanKind, around: trace.Span | None) -> LightSpan:
        above = None if around is None else around.get_span_context()
        above = above if above is not None and above.is_valid else None
        ids = SpanContext(
            self._ids.generate_trace_id() if above is None else above.trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=_NOT_SAMPLED,
            trace_state=None if above is None else above.trace_state,
        )
        return LightSpan(name, ids, above, kind, {}, (), None, None, silent=True)

    def _keep(self, span: LightSpan) -> None:
        attributes: Mapping[str, AttributeValue] = {name: _sent(value) for name, value in span.attributes.items()}
        if self._limits is not None:
            most, longest = self._limits.max_span_attributes, self._limits.max_span_attribute_length
            attributes = BoundedAttributes(most, attributes, max_value_len=longest)
        self._processor.on_end(
            ReadableSpan(
                span.name,
                span.ids,
                span.parent,
                self._resource,
                attributes,
                span.events,
                span.links,
                span.kind,
                None,
                span.status,
                span.start_ns,
                span.end_ns,
                self._scope,
            )
        )


def _sent(value: AttributeValue) -> AttributeValue:
    # UTF-8 cannot encode a lone surrogate: it would fail the whole batch.
    if isinstance(value, str):
        return value if value.isascii() else escaped(value)
    if isinstance(value, list | tuple) and any(isinstance(one, str) for one in value):
        return [escaped(one) for one in value if isinstance(one, str)]
    return value


def _theirs(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=_SAMPLED if context.sampled else _NOT_SAMPLED,
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )
