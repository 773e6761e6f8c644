"""Resilience for calls: breakers, retries, timeouts, deadlines, limits and what goes with them.

For asyncio, Trio and plain synchronous code; it depends on AnyIO alone. State machines are pure and handed their time,
the shell around them is thin. What does not live here: HTTP servers, telemetry, numerics.
"""

from cqox.errors import (
    AttemptTimeout,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    RateLimited,
    Rejected,
    ResilienceError,
)
from cqox.resilience._clock import Clock
from cqox.resilience._events import (
    AttemptFailed,
    AttemptStarted,
    CallRejected,
    CircuitClosed,
    CircuitDisabled,
    CircuitHalfOpened,
    CircuitIsolated,
    CircuitObserved,
    CircuitOpened,
    Event,
    GaveUp,
    ProbeFailed,
    RetryScheduled,
    TimedOut,
    subscribe,
)
from cqox.resilience.backoff import backoff
from cqox.resilience.budget import RetryBudget
from cqox.resilience.circuit import CircuitBreaker, CircuitMode, CircuitSnapshot, CircuitState, FailureRate
from cqox.resilience.deadline import deadline, remaining
from cqox.resilience.decorators import (
    api_timeout,
    circuit_breaker,
    computation_timeout,
    database_timeout,
    exponential_backoff_retry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience.policy import Policy
from cqox.resilience.registry import Registry, registry
from cqox.resilience.retry import Retry
from cqox.resilience.timeout import Timeout

__all__ = [
    "AttemptFailed",
    "AttemptStarted",
    "AttemptTimeout",
    "BulkheadFull",
    "CallRejected",
    "CircuitBreaker",
    "CircuitClosed",
    "CircuitDisabled",
    "CircuitHalfOpened",
    "CircuitIsolated",
    "CircuitMode",
    "CircuitObserved",
    "CircuitOpen",
    "CircuitOpened",
    "CircuitSnapshot",
    "CircuitState",
    "Clock",
    "DeadlineExceeded",
    "Draining",
    "Event",
    "FailureRate",
    "GaveUp",
    "Policy",
    "ProbeFailed",
    "RateLimited",
    "Registry",
    "Rejected",
    "ResilienceError",
    "Retry",
    "RetryBudget",
    "RetryScheduled",
    "TimedOut",
    "Timeout",
    "api_timeout",
    "backoff",
    "circuit_breaker",
    "computation_timeout",
    "database_timeout",
    "deadline",
    "exponential_backoff_retry",
    "registry",
    "remaining",
    "retry_on_database_error",
    "retry_on_network_error",
    "subscribe",
]
