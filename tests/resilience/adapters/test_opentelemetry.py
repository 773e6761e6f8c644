"""The adapter on the real SDK: every metric of the table, and span events, from policies on both event loops."""

import logging

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cqox.resilience import CircuitBreaker, Policy, Registry, Timeout
from cqox.resilience.adapters.opentelemetry import watch_policies
from cqox.resilience.observability.metrics import METRICS
from cqox.resilience.pipeline import events
from tests.resilience.adapters.workload import EVENTS, REJECTIONS, SECRET, STATE, Values, Workload, above_zero
from tests.resilience.conftest import Run


def collected(reader: InMemoryMetricReader):
    """The metrics of a collection by name."""
    data = reader.get_metrics_data()
    return {
        metric.name: metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def values(reader: InMemoryMetricReader) -> dict[str, Values]:
    """Values by name and by labels, in the order of their names in the definition."""
    labels = {metric.name: metric.labels for metric in METRICS}
    return {
        name: {
            tuple(point.attributes[label] for label in labels[name]): point.value for point in metric.data.data_points
        }
        for name, metric in collected(reader).items()
    }


@pytest.fixture
def reader():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    reader.provider = provider
    yield reader
    provider.shutdown()


def test_every_metric_of_the_table_has_its_values_and_no_message_of_an_exception(run: Run, reader) -> None:
    workload = Workload()
    end = watch_policies(workload.registry, meter_provider=reader.provider)
    seen: list[dict[str, Values]] = []

    async def main() -> None:
        await workload.fail()
        await workload.inside(lambda: seen.append(values(reader)))

    run(main)
    end()
    (found,) = seen
    assert set(found) == {metric.name for metric in METRICS}
    for name, expected in {**EVENTS, **STATE, "cqox.rejections": REJECTIONS}.items():
        assert above_zero(found[name]) == expected, name
    assert set(found["cqox.retry.budget"]) == {("orders budget",)}
    assert set(found["cqox.rate_limit.available"]) == {("quota",)}
    assert SECRET not in str(seen)


def test_units_kinds_and_descriptions_are_those_of_the_table(reader) -> None:
    workload = Workload()
    end = watch_policies(workload.registry, meter_provider=reader.provider)
    found = collected(reader)
    end()
    for metric in METRICS:
        shown = found[metric.name]
        assert (shown.unit, shown.description) == (metric.unit, metric.meaning)
        assert getattr(shown.data, "is_monotonic", None) is (None if metric.kind == "gauge" else True), metric.name


def test_counters_are_at_zero_before_the_first_event_also_of_policies_made_later(reader) -> None:
    policies = Registry()
    end = watch_policies(policies, meter_provider=reader.provider)
    assert values(reader) == {}
    late = Policy("late", CircuitBreaker("late circuit"), Timeout(1.0, name="late timeout"))
    policies.add("late", late)
    found = values(reader)
    end()
    assert found["cqox.timeouts"] == {("late timeout",): 0}
    assert found["cqox.rejections"] == {("late circuit", "CircuitBreaker"): 0}
    assert found["cqox.circuit.transitions"][("late circuit", "half_open")] == 0


def test_after_its_end_nothing_listens_and_nothing_is_reported(run: Run, reader) -> None:
    workload = Workload()
    end = watch_policies(workload.registry, meter_provider=reader.provider)
    end()
    end()
    assert events.listeners == ()
    run(workload.fail)
    assert values(reader) == {}


def test_a_metric_that_cannot_be_read_hides_no_other(reader, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(CircuitBreaker):
        def snapshot(self):
            raise ZeroDivisionError

    policies = Registry()
    broken, fine = Broken("broken"), Policy("fine", Timeout(1.0, name="fine"))
    policies.add("broken", broken)
    policies.add("fine", fine)
    end = watch_policies(policies, meter_provider=reader.provider)
    with caplog.at_level(logging.ERROR, "cqox.resilience"):
        found = values(reader)
    end()
    assert found["cqox.timeouts"] == {("fine",): 0}
    assert "the metric cqox.circuit.state could not be read" in caplog.text


@pytest.fixture
def exporter():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exporter.tracer = provider.get_tracer("test")
    return exporter


def test_events_go_to_the_span_around_the_call_that_caused_them(run: Run, reader, exporter) -> None:
    workload = Workload()
    end = watch_policies(workload.registry, meter_provider=reader.provider)

    async def main() -> None:
        with exporter.tracer.start_as_current_span("calls", record_exception=False):
            await workload.fail()

    run(main)
    end()
    (span,) = exporter.get_finished_spans()
    assert [event.name for event in span.events] == [
        "attempt failed",
        "retry scheduled",
        "attempt failed",
        "gave up",
        "attempt failed",
        "gave up",
        "circuit open",
        "rejected by CircuitBreaker",
        "timed out",
    ]
    scheduled = span.events[1]
    assert dict(scheduled.attributes) == {
        "cqox.policy": "orders",
        "cqox.attempt": 1,
        "cqox.delay": 0.0,
        "cqox.error": "OSError",
    }
    assert SECRET not in str([dict(event.attributes) for event in span.events])


def test_span_events_can_be_left_out_and_need_a_span(run: Run, reader, exporter) -> None:
    workload = Workload()
    end = watch_policies(workload.registry, meter_provider=reader.provider, span_events=False)

    async def main() -> None:
        with exporter.tracer.start_as_current_span("calls"):
            await workload.fail()

    run(main)
    end()
    (span,) = exporter.get_finished_spans()
    assert span.events == ()
