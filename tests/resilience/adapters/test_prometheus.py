"""The collector on the real `prometheus_client`: its text, what it costs a call, and what needs events."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cqox.resilience import CircuitBreaker, Registry
from cqox.resilience.adapters.prometheus import PolicyCollector
from cqox.resilience.observability.metrics import METRICS
from cqox.resilience.pipeline import events
from tests.resilience.adapters.workload import EVENTS, REJECTIONS, SECRET, STATE, Values, Workload, above_zero
from tests.resilience.conftest import Run


def scraped(collector: PolicyCollector) -> dict[str, Values]:
    """Values by OpenTelemetry name, read back from the text that Prometheus would get."""
    shown = CollectorRegistry()
    shown.register(collector)
    text = generate_latest(shown).decode()
    assert SECRET not in text
    found: dict[str, Values] = {}
    of_family = {metric.prometheus_name: metric for metric in METRICS}
    for family in text_string_to_metric_families(text):
        metric = of_family[family.name]
        assert family.documentation == metric.meaning
        assert family.type == ("gauge" if metric.kind == "gauge" else "counter")
        found[metric.name] = {
            tuple(sample.labels[label] for label in metric.labels): sample.value for sample in family.samples
        }
    return found


def test_a_scrape_reads_every_part_without_anyone_listening(run: Run) -> None:
    workload = Workload()
    collector = PolicyCollector(workload.registry)
    assert events.listeners == ()
    seen: list[dict[str, Values]] = []

    async def main() -> None:
        await workload.fail()
        await workload.inside(lambda: seen.append(scraped(collector)))

    run(main)
    (found,) = seen
    assert set(found) == {metric.name for metric in METRICS} - set(EVENTS)
    for name, expected in {**STATE, "cqox.rejections": REJECTIONS}.items():
        assert above_zero(found[name]) == expected, name


def test_with_events_it_has_every_metric_of_the_table(run: Run) -> None:
    workload = Workload()
    collector = PolicyCollector(workload.registry, events=True)
    assert scraped(collector)["cqox.timeouts"] == {("slow",): 0}
    seen: list[dict[str, Values]] = []

    async def main() -> None:
        await workload.fail()
        await workload.inside(lambda: seen.append(scraped(collector)))

    run(main)
    collector.close()
    collector.close()
    assert events.listeners == ()
    (found,) = seen
    assert set(found) == {metric.name for metric in METRICS}
    for name, expected in {**EVENTS, **STATE, "cqox.rejections": REJECTIONS}.items():
        assert above_zero(found[name]) == expected, name


def test_a_second_collector_in_one_registry_is_refused() -> None:
    shown = CollectorRegistry()
    shown.register(PolicyCollector(Registry()))
    with pytest.raises(ValueError, match="Duplicated"):
        shown.register(PolicyCollector(Registry()))


def test_a_policy_that_has_ended_is_shown_no_more() -> None:
    policies = Registry()
    breaker = CircuitBreaker("short-lived")
    policies.add("short-lived", breaker)
    collector = PolicyCollector(policies)
    assert scraped(collector)["cqox.circuit.state"]
    del breaker
    assert scraped(collector)["cqox.circuit.state"] == {}
