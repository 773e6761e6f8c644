"""The decorators: one part each, with the documented defaults."""

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import (
    CircuitState,
    api_timeout,
    circuit_breaker,
    computation_timeout,
    database_timeout,
    exponential_backoff_retry,
    registry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience.testing import FakeClock, Script
from tests.resilience.conftest import Down


def fail() -> None:
    raise Down


def succeed() -> str:
    return "up"


def test_network_and_database_errors_have_decorators_of_their_own() -> None:
    def attempts(decorate: object, error: Exception) -> int:
        script = Script(error)
        with pytest.raises(type(error)):
            decorate(base_delay=0.0, clock=FakeClock())(script.__call__)()
        return script.calls

    class SerializationFailure(Exception):
        sqlstate = "40001"

    assert attempts(retry_on_network_error, ConnectionResetError("cut")) == 3
    assert attempts(retry_on_network_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_database_error, SerializationFailure()) == 3
    assert attempts(retry_on_database_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_network_error, SerializationFailure()) == 1


def test_the_decorators_have_the_defaults_of_the_owners_document() -> None:
    assert [decorator().seconds for decorator in (api_timeout, database_timeout, computation_timeout)] == [30, 10, 120]


@pytest.mark.parametrize("decorate", [api_timeout, database_timeout, computation_timeout])
def test_a_timeout_of_nothing_is_refused(decorate) -> None:
    assert decorate(2.5).seconds == 2.5
    with pytest.raises(ValueError, match="seconds must be"):
        decorate(0.0)


def test_each_function_of_one_decorator_has_a_circuit_of_its_own() -> None:
    clock = FakeClock()
    decorate = circuit_breaker(1, 30.0, clock=clock)
    one, other = decorate(fail), decorate(succeed)
    with pytest.raises(Down):
        one()
    with pytest.raises(CircuitOpen) as caught:
        one()
    assert (caught.value.policy, caught.value.retry_after) == ("fail", 30.0)
    assert (one.breaker.state, other.breaker.state) == (CircuitState.OPEN, CircuitState.CLOSED)
    assert other() == "up"


def test_a_circuit_is_named_by_its_decorator_and_listed_by_the_place_of_its_function() -> None:
    named = circuit_breaker(name="engine")(fail)
    assert named.breaker.name == "engine"
    assert f"{__name__}.fail" in registry


def test_a_circuit_and_a_retry_have_the_documented_defaults() -> None:
    circuit = circuit_breaker()(fail).breaker.settings
    assert (circuit.failure_threshold, circuit.recovery_timeout, circuit.half_open_max_calls) == (5, 60.0, 1)
    retry = exponential_backoff_retry().settings
    assert (retry.max_attempts, retry.base_delay, retry.max_delay, retry.jitter) == (3, 1.0, 60.0, True)
    assert retry.exceptions == (Exception,)
    assert retry.idempotent
