"""The circuit breaker. States, health and windows are pure; `controller` adds the lock, the clock and the events."""

from cqox.resilience.circuit.breaker import CircuitBreaker, GuardedFunction
from cqox.resilience.circuit.health import FailureRate
from cqox.resilience.circuit.settings import CircuitSettings
from cqox.resilience.circuit.state import CircuitState
from cqox.resilience.circuit.statistics import CircuitMode, CircuitSnapshot

__all__ = [
    "CircuitBreaker",
    "CircuitMode",
    "CircuitSettings",
    "CircuitSnapshot",
    "CircuitState",
    "FailureRate",
    "GuardedFunction",
]
