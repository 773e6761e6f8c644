"""Rows from two readings: of the Prometheus collector, OpenTelemetry's exporter, and the services' metrics."""

import math
from pathlib import Path
from typing import NoReturn

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from cqox.resilience import Registry
from cqox.resilience.adapters.prometheus import PolicyCollector
from cqox.resilience.top.exposition import samples
from cqox.resilience.top.parts import PREFIX, PartRow, Reading, reading, rows
from cqox.telemetry import metrics as telemetry_metrics
from cqox.telemetry.instruments import Instruments
from cqox.telemetry.policies import watch_policies
from cqox.telemetry.prometheus import Exposition
from tests.resilience.adapters.workload import Workload
from tests.resilience.conftest import Run

EXPORTED = Path(__file__).with_name("opentelemetry_exporter.prom")
"""Output of opentelemetry-exporter-prometheus 0.66b2 for a circuit that is open, limits and a budget."""


def read(text: str, at: float) -> Reading:
    return reading(samples(text, PREFIX), at)


def by_name(before: Reading | None, now: Reading) -> dict[str, PartRow]:
    return {row.name: row for row in rows(before, now)}


def test_counters_become_rates_and_levels_stay() -> None:
    before = read('cqox_circuit_calls_total{policy="a",outcome="success"} 10', 100.0)
    now = read(
        'cqox_circuit_calls_total{policy="a",outcome="success"} 40\n'
        'cqox_circuit_calls_total{policy="a",outcome="failure"} 10\n'
        'cqox_circuit_calls_total{policy="a",outcome="rejected"} 20\n'
        'cqox_rejections_total{policy="a",reason="CircuitBreaker"} 20\n'
        'cqox_circuit_state{policy="a",state="open"} 1\ncqox_circuit_state{policy="a",state="closed"} 0\n'
        'cqox_bulkhead_limit{policy="a"} 8\ncqox_bulkhead_running{policy="a"} 3\ncqox_bulkhead_queued{policy="a"} 2\n',
        110.0,
    )
    (row,) = rows(before, now)
    assert (row.calls, row.failed, row.rejected) == (6.0, 0.25, 2.0)
    assert (dict(row.state), row.running, row.limit, row.queued) == ({"open": 1}, 3.0, 8.0, 2.0)
    assert math.isnan(row.retries)
    assert math.isnan(row.budget)


def test_one_reading_has_no_rates_and_one_of_the_same_moment_none_either() -> None:
    now = read('cqox_timeouts_total{policy="a"} 4', 5.0)
    assert math.isnan(rows(None, now)[0].timeouts)
    assert math.isnan(rows(now, now)[0].timeouts)


def test_a_counter_that_began_again_counts_from_zero() -> None:
    before, now = (read(f'cqox_timeouts_total{{policy="a"}} {count}', at) for count, at in ((90, 0.0), (6, 2.0)))
    assert rows(before, now)[0].timeouts == 3.0


def test_without_calls_no_share_of_failures_is_known() -> None:
    text = 'cqox_circuit_calls_total{policy="a",outcome="failure"} 4'
    (row,) = rows(read(text, 0.0), read(text, 1.0))
    assert row.calls == 0
    assert math.isnan(row.failed)


def test_circuits_of_one_name_and_of_several_processes_are_added_up() -> None:
    now = read(
        'cqox_circuit_state{policy="a",state="open",instance="1"} 1\n'
        'cqox_circuit_state{policy="a",state="open",instance="2"} 1\n'
        'cqox_circuit_state{policy="a",state="closed",instance="3"} 1\n',
        0.0,
    )
    assert dict(rows(None, now)[0].state) == {"open": 2, "closed": 1}


def test_metrics_of_others_and_values_that_are_none_are_passed_over() -> None:
    now = read('cqox_degraded{part="store"} 1\nother{policy="a"} 1\ncqox_timeouts_total{policy="a"} NaN\n', 0.0)
    assert rows(None, now) == []


def test_the_text_of_the_prometheus_collector_has_every_column(run: Run) -> None:
    workload = Workload()
    shown = CollectorRegistry()
    collector = PolicyCollector(workload.registry, events=True)
    shown.register(collector)
    texts = [generate_latest(shown).decode()]

    async def main() -> None:
        await workload.fail()
        await workload.inside(lambda: texts.append(generate_latest(shown).decode()))

    run(main)
    collector.close()
    found = by_name(*(read(text, float(at)) for at, text in enumerate(texts)))
    assert sorted(found) == sorted(
        ["adaptive", "drain", "load", "orders", "orders budget", "orders circuit", "places", "quota", "slow"]
    )
    circuit = found["orders circuit"]
    assert (dict(circuit.state), circuit.calls, circuit.failed, circuit.rejected) == ({"open": 1}, 3.0, 1.0, 1.0)
    assert (found["orders"].retries, found["orders budget"].retries, found["slow"].timeouts) == (1.0, 1.0, 1.0)
    places = found["places"]
    assert (places.calls, places.rejected, places.running, places.limit, places.queued) == (2.0, 1.0, 1.0, 1.0, 0.0)
    assert found["drain"].running == 1.0


def test_the_text_of_the_exporter_of_opentelemetry_is_read() -> None:
    text = EXPORTED.read_text(encoding="utf-8")
    empty = Reading(at=0.0, values={})
    found = by_name(empty, read(text, 1.0))
    circuit = found["orders circuit"]
    assert (dict(circuit.state), circuit.calls, circuit.rejected) == ({"open": 1}, 4.0, 1.0)
    assert (found["orders"].retries, found["orders budget"].budget, found["adaptive"].limit) == (2.0, 28.25, 4.0)


def test_a_gauge_that_a_collector_of_opentelemetry_called_a_ratio_is_read() -> None:
    text = EXPORTED.read_text(encoding="utf-8").replace("cqox_circuit_state{", "cqox_circuit_state_ratio{")
    assert dict(by_name(None, read(text, 0.0))["orders circuit"].state) == {"open": 1}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_the_metrics_of_a_service_are_read(run: Run, accept: str) -> None:
    workload = Workload()
    exposition = Exposition()
    provider = MeterProvider([exposition.reader], shutdown_on_exit=False)
    instruments = Instruments(provider.get_meter("test"))
    telemetry_metrics.deliver_to(instruments)
    end = watch_policies(workload.registry)
    instruments.bear("gateway")
    texts = [exposition.render(accept)[0].decode()]

    async def main() -> None:
        await workload.fail()
        await workload.inside(lambda: texts.append(exposition.render(accept)[0].decode()))

    try:
        run(main)
    finally:
        end()
        telemetry_metrics.deliver_to(None)
        provider.shutdown()
    found = by_name(*(read(text, float(at)) for at, text in enumerate(texts)))
    circuit = found["orders circuit"]
    assert (dict(circuit.state), circuit.rejected) == ({"open": 1}, 1.0)
    assert math.isnan(circuit.calls)
    assert (found["orders"].retries, found["slow"].timeouts) == (1.0, 1.0)
    assert (found["places"].running, found["places"].limit) == (1.0, 1.0)


def test_an_app_without_policies_has_no_rows() -> None:
    shown = CollectorRegistry()
    shown.register(PolicyCollector(Registry()))
    assert rows(None, read(generate_latest(shown).decode(), 0.0)) == []


def test_a_state_of_infinitely_many_circuits_is_none() -> None:
    (row,) = rows(None, read('cqox_circuit_state{policy="a",state="open"} +Inf', 0.0))
    assert dict(row.state) == {}


class Unscanned(dict[str, dict[str, dict[str, float]]]):
    """The values of a reading, which are only looked up."""

    def items(self) -> NoReturn:
        raise AssertionError("each part takes time with the number of all parts")


def test_the_time_of_a_row_does_not_grow_with_the_number_of_parts() -> None:
    now = read('cqox_timeouts_total{policy="a"} 4\ncqox_timeouts_total{policy="b"} 4', 1.0)
    now = Reading(at=now.at, values=Unscanned(now.values))  # type: ignore[arg-type]
    assert [row.name for row in rows(Reading(at=0.0, values=Unscanned()), now)] == ["a", "b"]
