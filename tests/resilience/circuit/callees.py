"""A dependency that is down, one that is up, and a circuit that the first has opened."""

import pytest

from cqox.resilience import CircuitBreaker, CircuitState
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


def fail() -> None:
    raise Down("down")


def succeed() -> str:
    return "up"


def opened(clock: FakeClock, **settings: object) -> CircuitBreaker:
    """A breaker that has just opened, at the present of `clock`."""
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=60.0, clock=clock, **settings)
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    return breaker
