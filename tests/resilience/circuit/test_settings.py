"""Validation of circuit settings, failure rates and clocks."""

import pytest

from cqox.resilience import CircuitBreaker, FailureRate, Policy, Timeout, circuit_breaker
from tests.resilience.circuit.callees import fail, succeed
from tests.resilience.conftest import Down, run_async


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"failure_threshold": 0}, "failure_threshold must be an integer of at least 1, not 0"),
        ({"failure_threshold": -1}, "not -1"),
        ({"failure_threshold": 2.5}, "not 2.5"),
        ({"failure_threshold": True}, "not True"),
        ({"recovery_timeout": -1.0}, "recovery_timeout must be a number of seconds at least 0, and finite, not -1.0"),
        ({"recovery_timeout": float("nan")}, "not nan"),
        ({"recovery_timeout": float("inf")}, "not inf"),
        ({"recovery_timeout": "60"}, "not '60'"),
        ({"half_open_max_calls": 0}, "half_open_max_calls must be an integer of at least 1, not 0"),
        ({"probe_timeout": 0.0}, "probe_timeout must be a number of seconds above 0"),
        ({"failures": ()}, "failures must be an exception class, a non-empty tuple, list or set of them"),
        ({"failures": (1,)}, "failures must be"),
        ({"failures": int}, "failures must be"),
        ({"probe": 3}, "probe must be callable, not 3"),
        ({"failure_if": 3}, "failure_if must be callable, not 3"),
        ({"clock": 3}, "clock must have"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
        ({"failure_rate": 0.5}, "failure_rate must be a FailureRate or None, not 0.5"),
    ],
)
def test_nonsense_is_refused_with_the_value_and_the_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        CircuitBreaker(**{"name": "engine", **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, "rate must be a share above 0 and at most 1, not 0.0"),
        ({"rate": 1.1}, "not 1.1"),
        ({"rate": float("nan")}, "not nan"),
        ({"window": 0}, "window must be an integer of at least 1, not 0"),
        ({"seconds": 0.0}, "seconds must be a number of seconds above 0"),
        ({"window": 5, "seconds": 1.0}, "not in both"),
        ({"minimum_calls": 0}, "minimum_calls must be"),
        ({"slow_call_seconds": -1.0}, "slow_call_seconds must be"),
        ({"slow_call_rate": 0}, "slow_call_rate must be"),
    ],
)
def test_a_nonsense_rate_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FailureRate(**settings)


def test_settings_of_a_decorator_are_checked_before_it_decorates() -> None:
    with pytest.raises(ValueError, match="failure_threshold"):
        circuit_breaker(failure_threshold=0)
    with pytest.raises(ValueError, match="name must be a non-empty string, not ''"):
        circuit_breaker(name="")


def test_a_clock_is_bound_at_first_use_and_another_is_refused() -> None:

    breaker = CircuitBreaker("engine", failure_threshold=1)
    with pytest.raises(Down):
        breaker(fail)()

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"bound to time.monotonic .* cannot be used under MockClock"):
            breaker(succeed)()

    run_async("trio", main)
    breaker.reset()

    async def again() -> str:
        return breaker(succeed)()

    assert run_async("trio", again) == "up"


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        ({"failure_threshold": 4}, "4 failures in a row"),
        ({"failure_rate": FailureRate(rate=0.25, window=50, minimum_calls=10)}, "25% failures over 50 calls"),
        ({"failure_rate": FailureRate(rate=0.5, seconds=90.0)}, "50% failures over 90 s"),
    ],
)
def test_a_breaker_says_when_it_opens_and_probes(settings: dict[str, object], bound: str) -> None:
    breaker = CircuitBreaker("engine", recovery_timeout=7.5, **settings)
    assert breaker.describe() == f"circuit breaker engine: opens at {bound}, probes after 7.5 s"
    assert repr(breaker) == f"<CircuitBreaker engine closed: opens at {bound}, probes after 7.5 s>"


def test_a_use_still_counts_after_many_others_are_gone() -> None:
    breaker = CircuitBreaker("engine", probe_timeout=3.0)
    kept = Policy("kept", breaker, Timeout(2.0))
    kept(succeed)
    others = [Policy("gone", breaker, Timeout(1.0)) for _ in range(300)]
    for policy in others:
        policy(succeed)
    del others, policy
    with pytest.raises(ValueError, match="above the attempt timeout of 2 s"):
        breaker.reconfigure(probe_timeout=2.0)
    breaker.reconfigure(probe_timeout=2.5)
    assert kept.part(CircuitBreaker) is breaker
