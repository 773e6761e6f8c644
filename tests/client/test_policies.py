"""The policies of one server."""

from cqox.client.policies import ATTEMPT_SECONDS, ServerPolicies
from cqox.resilience import registry


def test_the_order_of_the_parts_raises_no_doubt() -> None:
    policies = ServerPolicies("http://a")
    assert "warning" not in policies.call.explain()
    assert [type(part).__name__ for part in policies.call.parts] == ["CircuitBreaker", "Retry", "Timeout"]
    assert "http://a" in registry


def test_one_circuit_guards_every_kind_of_request() -> None:
    policies = ServerPolicies("http://b")
    assert all(policies.circuit in policy.parts for policy in (policies.call, policies.once, policies.long))


def test_an_attempt_outlasts_the_deadline_that_a_gateway_grants() -> None:
    assert ATTEMPT_SECONDS > 30.0
