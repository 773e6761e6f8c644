"""Values that are read from registered parts: each part once, parts of one name added up, none that has ended."""

import gc

import pytest

from cqox.resilience import Bulkhead, CircuitBreaker, CircuitOpen, Policy, Registry, Retry, RetryBudget, Timeout
from cqox.resilience.observability import metrics
from cqox.resilience.observability.state import births, read
from cqox.resilience.testing import Script


def of(policies: Registry, metric: metrics.Metric) -> dict[tuple[str, ...], float]:
    return {tuple(labels.values()): value for value, labels in read(metric, policies)}


def test_a_part_of_two_policies_that_is_registered_by_itself_too_counts_once() -> None:
    policies = Registry()
    breaker, budget = CircuitBreaker("shared"), RetryBudget(name="budget")
    kept = [Policy(name, breaker, Retry(2, budget=budget, idempotent=True)) for name in ("one", "two")]
    for entry in (*kept, breaker):
        policies.add(entry.name, entry)
    kept[0].call(Script(1))
    assert of(policies, metrics.CIRCUIT_CALLS)["shared", "success"] == 1
    assert of(policies, metrics.CIRCUIT_STATE)["shared", "closed"] == 1
    assert list(of(policies, metrics.RETRY_BUDGET)) == [("budget",)]


def test_parts_of_one_name_are_added_up() -> None:
    policies = Registry()
    kept = [CircuitBreaker("fetch", failure_threshold=1) for _ in range(3)]
    for number, breaker in enumerate(kept):
        policies.add(f"module{number}.fetch", breaker)
    kept[0].isolate()
    state = of(policies, metrics.CIRCUIT_STATE)
    assert (state["fetch", "open"], state["fetch", "closed"]) == (1, 2)


def test_the_keys_of_a_policy_are_added_up_under_the_names_of_its_parts() -> None:
    policies = Registry()
    budget = RetryBudget(name="budget", floor_per_second=1.0)
    hosts = Policy(
        "hosts", Bulkhead(4, name="places"), CircuitBreaker("host", 1), Retry(2, 0.0, idempotent=True, budget=budget)
    )
    policies.add("hosts", hosts)
    for host in ("a", "b"):
        hosts.for_key(host).call(Script(1))
    with pytest.raises(ConnectionResetError):
        hosts.for_key("down").call(Script(ConnectionResetError()))
    state, calls = of(policies, metrics.CIRCUIT_STATE), of(policies, metrics.CIRCUIT_CALLS)
    assert (state["host", "open"], state["host", "closed"]) == (1, 3)
    assert (calls["host", "success"], calls["host", "failure"]) == (2, 1)
    assert of(policies, metrics.LIMIT_CALLS)["places", "admitted"] == 3
    assert of(policies, metrics.BULKHEAD_LIMIT)["places",] == 16
    assert of(policies, metrics.RETRY_BUDGET_REQUESTS)["budget", "granted"] == 1
    with pytest.raises(CircuitOpen):
        hosts.for_key("down").call(Script(1))
    assert of(policies, metrics.REJECTIONS)["host", "CircuitBreaker"] == 1


def test_what_a_forgotten_key_has_counted_stays_counted() -> None:
    policies = Registry()
    hosts = Policy("hosts", Bulkhead(4, name="places"), CircuitBreaker("host"), most_keys=2)
    policies.add("hosts", hosts)
    for host in range(300):
        hosts.for_key(host).call(Script(1))
    assert len(hosts.keys()) == 2
    gc.collect()
    assert of(policies, metrics.CIRCUIT_CALLS)["host", "success"] == 300
    assert of(policies, metrics.LIMIT_CALLS)["places", "admitted"] == 300
    assert of(policies, metrics.CIRCUIT_STATE)["host", "closed"] == 3


def test_a_counter_of_events_has_no_state_and_is_known_before_by_its_labels() -> None:
    policies = Registry()
    policy = Policy("p", Bulkhead(1, name="places"), Retry(2, idempotent=True), Timeout(1.0, name="slow"))
    policies.add("p", policy)
    for metric in (metrics.RETRIES, metrics.GIVEN_UP, metrics.TIMEOUTS, metrics.CIRCUIT_TRANSITIONS):
        assert read(metric, policies) == []
    assert births(metrics.RETRIES, policies) == births(metrics.GIVEN_UP, policies) == [{"policy": "p"}]
    assert births(metrics.TIMEOUTS, policies) == [{"policy": "slow"}]
    assert births(metrics.REJECTIONS, policies) == [{"policy": "places", "reason": "Bulkhead"}]
    assert births(metrics.CIRCUIT_TRANSITIONS, policies) == births(metrics.CIRCUIT_STATE, policies) == []


def test_an_entry_that_ends_while_the_registry_is_read_is_left_out() -> None:
    class Ending(Registry):
        def keys(self) -> list[str]:
            return [*super().keys(), "has ended"]

    policies = Ending()
    breaker = CircuitBreaker("alive")
    policies.add("alive", breaker)
    assert set(of(policies, metrics.CIRCUIT_STATE)) == {("alive", "closed"), ("alive", "open"), ("alive", "half_open")}


def test_every_metric_is_read_from_state_or_counted_from_events() -> None:
    policies = Registry()
    budget = RetryBudget(name="budget")
    policy = Policy("p", CircuitBreaker("b"), Retry(2, idempotent=True, budget=budget), Timeout(1.0))
    policies.add("p", policy)
    read_from_state = {"cqox.circuit.state", "cqox.circuit.calls", "cqox.retry.budget", "cqox.retry.budget.requests"}
    assert {each.name for each in metrics.METRICS if read(each, policies)} == read_from_state | {"cqox.rejections"}
