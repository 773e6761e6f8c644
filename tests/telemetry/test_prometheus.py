from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.parser import text_string_to_metric_families

from cqox.telemetry.instruments import Instruments
from cqox.telemetry.metric_definitions import SERIES, Series
from cqox.telemetry.prometheus import Exposition

CALLS = Series(name="t.calls", kind="counter", unit="{call}", meaning="Calls.", labels=("policy",))


@pytest.fixture
def exposition() -> Iterator[Exposition]:
    made = Exposition()
    provider = MeterProvider([made.reader], shutdown_on_exit=False)
    Instruments(provider.get_meter("test"), (CALLS,)).take(CALLS, 3, {"policy": 'a"b'})
    yield made
    provider.shutdown()


def value_of(exposition: Exposition) -> float:
    families = text_string_to_metric_families(exposition.render()[0].decode())
    (sample,) = [sample for family in families for sample in family.samples if sample.name == "t_calls_total"]
    assert sample.labels["policy"] == 'a"b'
    return sample.value


def test_metrics_of_the_service_and_of_the_process_are_in_the_text(exposition: Exposition) -> None:
    text, content_type = exposition.render()
    assert value_of(exposition) == 3
    assert content_type.startswith("text/plain")
    assert b"python_info" in text
    assert b"process_cpu_seconds_total" in text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("text/html", "text/plain"),
        ("application/openmetrics-text; version=a.b", "text/plain"),
    ],
)
def test_the_format_is_the_one_asked_for_or_text(exposition: Exposition, accept: str, kind: str) -> None:
    text, content_type = exposition.render(accept)
    assert content_type.startswith(kind)
    assert text.endswith(b"# EOF\n") == (kind != "text/plain")


def test_data_for_an_exporter_are_those_of_a_scrape_and_leave_it_as_it_is(exposition: Exposition) -> None:
    for _ in range(2):
        data = exposition.collect()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert [point.value for point in metric.data.data_points] == [3]
        assert value_of(exposition) == 3


def test_before_a_provider_there_is_the_process_alone() -> None:
    assert b"python_info" in Exposition().render()[0]


def test_every_definition_is_shown_by_its_name_at_the_metrics_endpoint() -> None:
    exposition = Exposition()
    provider = MeterProvider([exposition.reader], shutdown_on_exit=False)
    sink = Instruments(provider.get_meter("test"))
    recorded = [series for series in SERIES if series.kind in ("counter", "histogram")]
    for series in recorded:
        sink.take(series, 1, dict.fromkeys(series.labels, "x"))
    shown = exposition.render()[0].decode()
    for series in recorded:
        assert f"# TYPE {series.prometheus_name} {series.kind}\n" in shown
    provider.shutdown()
