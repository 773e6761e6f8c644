"""The circuit breaker. `state` is the state machine, `admission` its permits, `health` what opens it."""

from cqox.resilience.circuit.breaker import CircuitBreaker, GuardedFunction
from cqox.resilience.circuit.health import FailureRate
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot, CircuitState

__all__ = [
    "CircuitBreaker",
    "CircuitMode",
    "CircuitSettings",
    "CircuitSnapshot",
    "CircuitState",
    "FailureRate",
    "GuardedFunction",
]
