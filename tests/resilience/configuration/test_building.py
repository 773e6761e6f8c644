"""Policies built from checked files, and changes of running ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    Criticality,
    Drain,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    Shed,
    Timeout,
)
from cqox.resilience.configuration.building import (
    build_budget,
    build_policy,
    prepare_budget,
    prepare_policy,
    same_parts,
)
from cqox.resilience.configuration.reading import PolicyFile, read_policy_file
from tests.resilience.configuration import named

HERE = "tests.resilience.configuration.named"
EVERY_PART = f"""
budgets: {{shared: {{ratio: 0.5, floor_per_second: 1}}}}
policies:
  engine:
    - {{part: Fallback, answer: {HERE}.nothing_awaited, exceptions: {HERE}.Busy}}
    - {{part: Drain, retry_after: 2}}
    - {{part: Shed, capacity: 10, shares: {{sheddable: 0.5}}}}
    - {{part: AdaptiveLimit, initial_limit: 5, increase: 2, decrease: 0.5}}
    - {{part: Bulkhead, max_concurrent: 3, max_queued: 4}}
    - {{part: RateLimit, calls: 5, seconds: 2, max_wait: .inf}}
    - {{part: CircuitBreaker, recovery_timeout: 5, failures: [{HERE}.Busy], probe: {HERE}.probe}}
    - {{part: Hedge, delay: 1, budget: shared}}
    - {{part: Retry, jitter: false, budget: shared, backoff: {HERE}.pause, exceptions: [{HERE}.Busy], name: again}}
    - {{part: Timeout, seconds: 5}}
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], PolicyFile]:
    def from_text(text: str) -> PolicyFile:
        path = tmp_path / "policies.yaml"
        path.write_text(text)
        return read_policy_file(path)

    return from_text


def built(content: PolicyFile) -> Policy:
    budgets = {name: build_budget(name, described) for name, described in content.budgets.items()}
    return build_policy("engine", content.policies["engine"], budgets)


def test_every_part_is_built_with_its_settings(read: Callable[[str], PolicyFile]) -> None:
    policy = built(read(EVERY_PART))
    kinds = [Fallback, Drain, Shed, AdaptiveLimit, Bulkhead, RateLimit, CircuitBreaker, Hedge, Retry, Timeout]
    assert [type(part) for part in policy.parts] == kinds
    assert policy.part(CircuitBreaker).name == "engine circuit"
    assert policy.part(CircuitBreaker).settings.failures == (named.Busy,)
    assert policy.part(CircuitBreaker).settings.probe is named.probe
    assert policy.part(Bulkhead).snapshot().max_queued == 4
    assert policy.part(Timeout).seconds == 5.0
    retry = policy.part(Retry)
    assert (retry.name, retry.settings.jitter, retry.backoff) == ("again", False, named.pause)
    assert retry.budget is not None
    assert retry.budget.name == "shared"
    assert f"sheddable from {0.5:.0%}" in policy.part(Shed).describe()
    assert Criticality.SHEDDABLE.label == "sheddable"


def test_settings_that_contradict_each_other_name_the_part(read: Callable[[str], PolicyFile]) -> None:
    content = read("policies: {engine: [{part: AdaptiveLimit, initial_limit: 500}]}")
    with pytest.raises(ValueError, match=r"^policies.engine\[0\]: initial_limit must be at most max_limit"):
        built(content)


BEFORE = """
policies:
  engine:
    - {part: CircuitBreaker, failure_threshold: 2}
    - {part: RateLimit, calls: 5}
    - {part: Hedge, delay: 1}
    - {part: Timeout, seconds: 5}
"""


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("seconds: 5", "seconds: 2", []),
        (", failure_threshold: 2", "", []),
        ("calls: 5", "calls: 10", []),
        (
            "delay: 1",
            "delay: 2",
            ["policies.engine[2].delay cannot be changed while Hedge runs: it is 1.0 until a restart, not 2.0"],
        ),
        (
            "failure_threshold: 2",
            "probe_timeout: 1",
            [
                "policies.engine: probe_timeout of circuit breaker engine circuit must be above the attempt "
                "timeout of 5 s, not 1.0"
            ],
        ),
    ],
)
def test_changes_are_checked_first_and_applied_together(
    read: Callable[[str], PolicyFile], old: str, new: str, problems: list[str]
) -> None:
    before, after = read(BEFORE).policies["engine"], read(BEFORE.replace(old, new)).policies["engine"]
    policy = build_policy("engine", before, {})
    found: list[str] = []
    explained = policy.explain()
    change = prepare_policy(policy, before, after, found)
    assert found == problems
    assert policy.explain() == explained
    if not problems:
        change()
        assert policy.explain() == build_policy("other", after, {}).explain().replace(
            "policy other", "policy engine"
        ).replace("other circuit", "engine circuit")


def test_parts_are_the_same_by_kind_name_and_order(read: Callable[[str], PolicyFile]) -> None:
    before = read(BEFORE).policies["engine"]
    assert same_parts(before, read(BEFORE.replace("seconds: 5", "seconds: 2")).policies["engine"])
    for old, new in [
        ("Hedge, delay: 1", "Drain"),
        ("seconds: 5", "seconds: 5, name: other"),
        ("    - {part: RateLimit, calls: 5}\n", ""),
    ]:
        assert not same_parts(before, read(BEFORE.replace(old, new)).policies["engine"])


def test_a_budget_changes_its_rates_and_keeps_its_name(read: Callable[[str], PolicyFile]) -> None:
    text = "budgets: {shared: {ratio: 0.5}}\npolicies: {engine: [{part: Drain}]}"
    before = read(text).budgets["shared"]
    budget = build_budget("shared", before)
    problems: list[str] = []
    prepare_budget(budget, before, read(text.replace("0.5", "0.5, floor_per_second: 9")).budgets["shared"], problems)()
    assert (problems, budget.snapshot().capacity) == ([], 90.0)
    prepare_budget(budget, before, read(text.replace("0.5", "0.5, name: other")).budgets["shared"], problems)
    assert len(problems) == 1
    assert problems[0].startswith("budgets.shared.name cannot be changed while RetryBudget runs")
