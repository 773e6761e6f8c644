import logging
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from cqox.telemetry import metrics
from cqox.telemetry.instruments import Instruments
from cqox.telemetry.metric_definitions import SERIES, Series

COUNTER = Series(name="t.counter", kind="counter", unit="{call}", meaning="Calls.", labels=("policy",))
HISTOGRAM = Series(name="t.histogram", kind="histogram", unit="s", meaning="Time.", buckets=(1.0, 2.0))
GAUGE = Series(name="t.gauge", kind="gauge", unit="1", meaning="Level.", labels=("state",))
TOTAL = Series(name="t.total", kind="total", unit="1", meaning="Count kept elsewhere.")


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


def sink_of(reader: InMemoryMetricReader, *series: Series) -> Instruments:
    return Instruments(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"), series)


def collected(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_counter_adds_up_by_labels(reader: InMemoryMetricReader) -> None:
    sink = sink_of(reader, COUNTER)
    for value, policy in ((1, "a"), (2, "a"), (5, "b")):
        sink.take(COUNTER, value, {"policy": policy})
    metric = collected(reader)["t.counter"]
    assert {point.attributes["policy"]: point.value for point in metric.data.data_points} == {"a": 3, "b": 5}
    assert (metric.unit, metric.description) == ("{call}", "Calls.")


def test_a_histogram_has_the_bounds_of_its_definition(reader: InMemoryMetricReader) -> None:
    sink = sink_of(reader, HISTOGRAM)
    for value in (0.5, 1.0, 1.5, 7.0):
        sink.take(HISTOGRAM, value, {})
    (point,) = collected(reader)["t.histogram"].data.data_points
    assert (point.explicit_bounds, point.bucket_counts, point.sum) == ((1.0, 2.0), (2, 1, 1), 10.0)


def test_a_gauge_and_a_total_are_read_when_they_are_collected(reader: InMemoryMetricReader) -> None:
    sink = sink_of(reader, GAUGE, TOTAL)
    level = [1.0]
    ends = [metrics.watch(GAUGE, lambda: [(level[0], {"state": "on"})]), metrics.watch(TOTAL, lambda: [(4, {})])]
    try:
        level[0] = 2.0
        found = collected(reader)
    finally:
        for end in ends:
            end()
    assert [point.value for point in found["t.gauge"].data.data_points] == [2.0]
    assert [point.value for point in found["t.total"].data.data_points] == [4]
    assert found["t.total"].data.is_monotonic
    with pytest.raises(KeyError):
        sink.take(GAUGE, 1.0, {})


def test_a_reading_that_raises_is_logged_by_the_name_of_its_metric(
    reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    kept = sink_of(reader, GAUGE, TOTAL)
    ends = [metrics.watch(GAUGE, lambda: 1 / 0), metrics.watch(TOTAL, lambda: [(4, {})])]  # type: ignore[arg-type,return-value]
    try:
        with caplog.at_level(logging.ERROR, "cqox.telemetry"):
            found = collected(reader)
    finally:
        for end in ends:
            end()
    assert "t.total" in found
    assert "t.gauge" not in found
    assert "t.gauge" in caplog.text
    assert kept


def test_every_definition_makes_an_instrument(reader: InMemoryMetricReader) -> None:
    sink = sink_of(reader, *SERIES)
    for series in SERIES:
        if series.kind in ("counter", "histogram"):
            sink.take(series, 1, dict.fromkeys(series.labels, "x"))
    # Gauges that another test still watches may be there too.
    assert set(collected(reader)) >= {each.name for each in SERIES if each.kind in ("counter", "histogram")}


def test_counters_of_a_service_are_born_at_0_once(reader: InMemoryMetricReader) -> None:
    born = Series(name="t.born", kind="counter", unit="1", meaning="", labels=("policy",), born=(("a",),))
    others = Series(name="t.others", kind="counter", unit="1", meaning="", service="gateway")
    sink = sink_of(reader, born, others)
    for _ in range(2):
        sink.bear("engine")
        sink.take(born, 1, {"policy": "a"})
    end = metrics.born(born, lambda: [{"policy": "later"}])
    sink.bear("engine")
    end()
    found = collected(reader)
    assert {point.attributes["policy"]: point.value for point in found["t.born"].data.data_points} == {
        "a": 2,
        "later": 0,
    }
    assert "t.others" not in found
