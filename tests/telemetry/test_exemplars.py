"""The trace of the last value in each bucket."""

import time

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from cqox.telemetry.exemplars import LastExemplars, view_of
from cqox.telemetry.series import Series

LINKED = Series(name="t.linked", kind="histogram", unit="s", meaning="", buckets=(1.0, 2.0), exemplars=True)
BARE = Series(name="t.bare", kind="histogram", unit="s", meaning="", buckets=(1.0, 2.0))


def within(trace_id: int) -> Context:
    ids = SpanContext(trace_id, 7, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(ids), Context())


def test_each_bucket_keeps_the_trace_of_its_last_value_for_every_reader() -> None:
    kept, now = LastExemplars((1.0, 2.0)), time.time_ns()
    for trace_id, value in ((1, 0.5), (2, 1.0), (3, 1.5), (4, 9.0)):
        kept.offer(value, now, {}, within(trace_id))
    for _ in range(2):
        assert [(each.trace_id, each.value) for each in kept.collect({})] == [(2, 1.0), (3, 1.5), (4, 9.0)]


def test_a_value_without_a_trace_leaves_the_one_before_it() -> None:
    kept, now = LastExemplars((1.0,)), time.time_ns()
    kept.offer(0.5, now, {}, within(1))
    kept.offer(0.6, now, {}, Context())
    assert [each.trace_id for each in kept.collect({})] == [1]


def test_a_trace_of_long_ago_is_no_longer_linked() -> None:
    kept, now = LastExemplars((1.0,)), time.time_ns()
    kept.offer(0.5, now - 601 * 10**9, {}, within(1))
    kept.offer(2.0, now - 599 * 10**9, {}, within(2))
    assert [each.trace_id for each in kept.collect({})] == [2]


@pytest.mark.parametrize(("series", "count"), [(LINKED, 1), (BARE, 0)])
def test_only_a_metric_that_is_defined_so_has_exemplars(series: Series, count: int) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False, views=[view_of(LINKED), view_of(BARE)])
    histogram = provider.get_meter("t").create_histogram(
        series.name, explicit_bucket_boundaries_advisory=series.buckets
    )
    histogram.record(0.5, {}, within(5))
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert isinstance(metric.data, Histogram)
    (point,) = metric.data.data_points
    assert point.explicit_bounds == series.buckets
    assert len(point.exemplars) == count
    provider.shutdown()
