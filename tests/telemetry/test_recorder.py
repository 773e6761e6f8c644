"""Spans of CQOx among those of OpenTelemetry: sampling, limits, other people's spans, and what they cost."""

import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from cqox.telemetry import current, current_span, server_span, span
from cqox.telemetry.context import TraceContext
from cqox.telemetry.recorder import OpenTelemetryRecorder
from cqox.telemetry.spans import record_with
from tests.recorded import Kept

CALLER = TraceContext(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7", sampled=True)


class Asked(Sampler):
    """Notes what it is asked of, and adds an attribute."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        self.names.append(name)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), "sampled.by": "test"})

    def get_description(self) -> str:
        return "Asked"


def recording(sampler: Sampler) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


@pytest.fixture
def slot():
    before = record_with(None)
    yield record_with
    record_with(before)


def test_a_sampler_is_asked_once_a_trace_and_what_it_adds_is_kept(slot) -> None:
    sampler = Asked()
    provider, exporter = recording(sampler)
    slot(OpenTelemetryRecorder(provider.get_tracer("test")))
    with server_span("GET", {"a": 1}, parent=CALLER, request_id="r"):
        with span("inside"), span("further in"):
            pass
    assert sampler.names == ["GET"]
    assert {each.name: dict(each.attributes) for each in exporter.get_finished_spans()} == {
        "further in": {},
        "inside": {},
        "GET": {"a": 1, "sampled.by": "test"},
    }


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
def test_what_is_not_sampled_is_not_kept_and_says_so_to_the_next_service(slot, sampler: Sampler) -> None:
    provider, exporter = recording(sampler)
    slot(OpenTelemetryRecorder(provider.get_tracer("test")))
    with server_span("GET", None, parent=None, request_id="r") as around:
        assert not around.recording
        with span("inside", {"a": 1}) as inside:
            inside.add({"b": 2})
            inside.event("something")
            assert current().traceparent.endswith("-00")
            assert current().trace_id == around.context.trace_id
    assert exporter.get_finished_spans() == ()


def test_a_child_has_the_trace_and_the_state_of_its_parent(kept: Kept) -> None:
    parent = TraceContext(trace_id=CALLER.trace_id, span_id=CALLER.span_id, sampled=True, state="vendor=1")
    with server_span("GET", None, parent=parent, request_id="r") as server, span("inside") as inside:
        assert inside.context.trace_id == server.context.trace_id == CALLER.trace_id
        assert inside.context.state == "vendor=1"
        assert inside.context.span_id != server.context.span_id
    assert kept.named("inside").parent.span_id == kept.named("GET").context.span_id
    assert kept.named("GET").parent.is_remote
    assert kept.named("GET").start_time <= kept.named("inside").start_time <= kept.named("inside").end_time


def test_spans_that_others_make_have_their_place_among_ours(kept: Kept) -> None:
    provider, exporter = recording(ParentBased(ALWAYS_OFF))
    theirs = provider.get_tracer("theirs")
    with span("ours"):
        with theirs.start_as_current_span("theirs"), span("ours again"):
            pass
        # A library that knows OpenTelemetry alone may speak to the current span.
        trace.get_current_span().set_attribute("set.by", "them")
        trace.get_current_span().set_status(StatusCode.ERROR, "broken")
    (foreign,) = exporter.get_finished_spans()
    assert foreign.parent.span_id == kept.named("ours").context.span_id
    assert kept.named("ours again").parent.span_id == foreign.context.span_id
    assert kept.named("ours").attributes == {"set.by": "them"}
    assert kept.named("ours").status.description == "broken"


def test_what_is_said_to_a_span_after_its_end_changes_nothing(kept: Kept) -> None:
    with span("work", {"a": 1}) as work:
        pass
    work.add({"b": 2})
    work.event("late")
    work.fail("late")
    work.__exit__(None, None, None)
    ended = kept.named("work")
    assert ended.attributes == {"a": 1}
    assert ended.events == ()
    assert ended.status.status_code is StatusCode.UNSET


def test_attributes_given_to_a_span_stay_those_of_their_owner(kept: Kept) -> None:
    labels = {"a": "1"}
    with span("work", labels) as work:
        work.add({"b": "2"})
    assert labels == {"a": "1"}


def test_a_span_keeps_its_first_events_and_no_endless_list_of_them(kept: Kept) -> None:
    with span("work") as work:
        for number in range(500):
            work.event(f"event {number}")
    events = kept.named("work").events
    assert len(events) == 128
    assert events[0].name == "event 0"


def test_the_limits_of_the_environment_hold(slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    provider, exporter = recording(Asked())
    slot(OpenTelemetryRecorder(provider.get_tracer("test")))
    with span("work", {"a": "12345", "b": "1", "c": "1"}):
        pass
    (work,) = exporter.get_finished_spans()
    assert len(work.attributes) == 2
    assert {len(value) for value in work.attributes.values()} <= {1, 3}
    assert work.dropped_attributes == 2


def test_outside_of_any_span_there_is_none_to_speak_to(kept: Kept) -> None:
    assert current() is None
    assert not current_span().recording
    current_span().add({"a": 1})


def test_a_span_costs_less_than_the_one_of_the_sdk() -> None:
    """In the same run, so that the machine does not matter; the best of several, for the same reason."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    recorder = OpenTelemetryRecorder(tracer)
    attributes = {"db.system.name": "redis", "db.operation.name": "GET"}

    def ours() -> None:
        with recorder.start("GET", "client", attributes):
            pass

    def theirs() -> None:
        with tracer.start_as_current_span("GET", attributes=attributes):
            pass

    def seconds(make) -> float:
        began = time.thread_time()
        for _ in range(500):
            make()
        return time.thread_time() - began

    with recorder.start("around", "internal", None):
        costs = [(seconds(ours), seconds(theirs)) for _ in range(9)]
    assert min(own for own, _ in costs) < 0.7 * min(other for _, other in costs)
