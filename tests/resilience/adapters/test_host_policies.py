"""Policies by host: one for all, or what a function returns for each, which must keep them."""

import pytest

from cqox.resilience import CircuitBreaker, Policy
from cqox.resilience.adapters.host_policies import HostPolicies


def made(host: str) -> Policy:
    return Policy(host, CircuitBreaker(host, 1, 60.0))


def test_one_policy_serves_all_hosts() -> None:
    policy = made("all")
    hosts = HostPolicies(policy)
    assert hosts.policy_of("a") is hosts.policy_of("b") is policy


def test_a_function_is_asked_for_each_call() -> None:
    policies = {"a": made("a"), "b": made("b")}
    hosts = HostPolicies(policies.__getitem__)
    assert [hosts.policy_of(host) for host in "aba"] == [policies["a"], policies["b"], policies["a"]]
    policies["a"] = made("another")
    assert hosts.policy_of("a") is policies["a"]


def test_the_keys_of_a_policy_are_kept_and_forgotten_by_the_policy() -> None:
    policy = Policy("hosts", CircuitBreaker("hosts", 1, 60.0), most_keys=1)
    hosts = HostPolicies(policy.for_key)
    down = hosts.policy_of("down")
    with pytest.raises(ZeroDivisionError):
        down.call(lambda: 1 / 0)
    assert hosts.policy_of("up") is not down
    assert hosts.policy_of("down") is down
    assert not down.is_settled()
    policy.forget("down")
    del down
    assert hosts.policy_of("down").is_settled()


def test_a_function_that_makes_another_policy_for_each_call_is_refused() -> None:
    hosts = HostPolicies(made)
    for _ in range(2):
        with pytest.raises(TypeError, match=r"another policy of 'a' for each call: use policy\.for_key"):
            hosts.policy_of("a")


def test_nonsense_is_refused() -> None:
    with pytest.raises(TypeError, match="policies must be a Policy"):
        HostPolicies("engine")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must return the policy of 'a', and returned None"):
        HostPolicies({}.get).policy_of("a")
