"""Collected metrics as families of the Prometheus client."""

import subprocess
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from cqox.telemetry import metrics
from cqox.telemetry.exemplars import view_of
from cqox.telemetry.instruments import Instruments
from cqox.telemetry.metric_definitions import SERIES
from cqox.telemetry.prometheus import Exposition
from cqox.telemetry.series import Series
from tests.servers.promtool import promtool

WAIT = Series(
    name="t.wait",
    kind="histogram",
    unit="s",
    meaning="Wait.",
    labels=("t.outcome",),
    buckets=(0.5, 2.0),
    born=(("started",), ("refused",)),
    exemplars=True,
)
LEVEL = Series(name="t.level", kind="gauge", unit="By", meaning="Level.", shown="t.size")
CALLS = Series(name="t.calls", kind="counter", unit="{call}", meaning="Calls.", labels=("policy",), born=(("a",),))
OURS = (WAIT, LEVEL, CALLS)


@pytest.fixture
def exposition() -> Iterator[Exposition]:
    made = Exposition(OURS)
    provider = MeterProvider(
        [made.reader], Resource({"service.name": "t"}), shutdown_on_exit=False, views=[view_of(each) for each in OURS]
    )
    made.sink = Instruments(provider.get_meter("t"), OURS)  # type: ignore[attr-defined]
    made.before = lambda: made.sink.bear("engine")  # type: ignore[attr-defined]
    yield made
    provider.shutdown()


def samples(exposition: Exposition) -> dict[str, float]:
    families = text_string_to_metric_families(exposition.render()[0].decode())
    return {
        ",".join([sample.name, *sorted(value for value in sample.labels.values() if value)]): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("t")
    }


def test_what_is_known_from_the_start_is_0_until_it_is_recorded(exposition: Exposition) -> None:
    before = samples(exposition)
    assert before["t_calls_total,a"] == 0
    assert [before[f"t_wait_seconds_count,{outcome}"] for outcome in ("started", "refused")] == [0, 0]
    assert before["t_wait_seconds_bucket,+Inf,refused"] == 0
    exposition.sink.take(WAIT, 1.0, {"t.outcome": "refused"})  # type: ignore[attr-defined]
    exposition.sink.take(CALLS, 2, {"policy": "a"})  # type: ignore[attr-defined]
    after = samples(exposition)
    assert after["t_calls_total,a"] == 2
    assert [after[f"t_wait_seconds_count,{outcome}"] for outcome in ("started", "refused")] == [0, 1]
    assert [after[f"t_wait_seconds_bucket,{bound},refused"] for bound in ("0.5", "2.0", "+Inf")] == [0, 1, 1]
    assert after.keys() == before.keys()


def test_a_gauge_has_its_own_name_and_unit(exposition: Exposition) -> None:
    end = metrics.watch(LEVEL, lambda: [(4, {})])
    try:
        assert samples(exposition)["t_size_bytes"] == 4
    finally:
        end()


def test_a_bucket_links_to_the_trace_of_its_last_value(exposition: Exposition) -> None:
    ids = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with trace.use_span(NonRecordingSpan(ids)):
        exposition.sink.take(WAIT, 1.0, {"t.outcome": "started"})  # type: ignore[attr-defined]
    text = exposition.render("application/openmetrics-text; version=1.0.0")[0].decode()
    found = {
        (sample.labels["t_outcome"], sample.labels["le"]): sample.exemplar
        for family in openmetrics(text)
        for sample in family.samples
        if sample.name == "t_wait_seconds_bucket" and sample.exemplar
    }
    (exemplar,) = found.values()
    assert list(found) == [("started", "2.0")]
    assert exemplar.labels == {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}
    assert exemplar.value == 1.0
    # The older format has no exemplars.
    assert " # {" not in exposition.render()[0].decode()


def test_the_resource_is_the_information_on_the_target(exposition: Exposition) -> None:
    assert 'target_info{service_name="t"} 1.0' in exposition.render()[0].decode()


def test_promtool_finds_no_fault_with_any_series() -> None:
    exposition = Exposition(SERIES)
    provider = MeterProvider([exposition.reader], shutdown_on_exit=False, views=[view_of(each) for each in SERIES])
    sink = Instruments(provider.get_meter("t"))
    ends = []
    for series in SERIES:
        labels = dict.fromkeys(series.labels, "x")
        if series.kind in ("counter", "histogram"):
            sink.take(series, 1, labels)
        else:
            ends.append(metrics.watch(series, lambda labels=labels: [(1, labels)]))  # type: ignore[misc]
    text = exposition.render()[0]
    for end in ends:
        end()
    provider.shutdown()
    for series in SERIES:
        assert f"# TYPE {series.prometheus_name} ".encode() in text
    run = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b""), run.stderr.decode()
