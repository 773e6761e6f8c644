"""Resilience policies for calls: circuit breakers, retries, timeouts, deadlines and limits.

For asyncio, Trio and synchronous code; AnyIO is the only dependency. State machines are pure, with time as an argument,
behind thin layers for locks and waits. HTTP servers, telemetry and numerics are in other packages.

`Shed` is the part; its rejection is `LoadShed`, which is `cqox.errors.Shed`. All errors are defined in `cqox.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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
from cqox.errors import Shed as LoadShed
from cqox.resilience.circuit import CircuitBreaker, CircuitMode, CircuitSnapshot, CircuitState, FailureRate
from cqox.resilience.composition.decorators import (
    api_timeout,
    circuit_breaker,
    computation_timeout,
    database_timeout,
    exponential_backoff_retry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience.composition.policy import Policy
from cqox.resilience.configuration import PolicyFileInvalid, PolicyNotLoaded
from cqox.resilience.deadlines.deadline import deadline, remaining
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.pipeline.events import (
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
from cqox.resilience.pipeline.registry import Registry, registry
from cqox.resilience.pipeline.results import UnwantedResult
from cqox.resilience.retry.backoff import backoff
from cqox.resilience.retry.budget import RetryBudget, RetryBudgetSnapshot
from cqox.resilience.retry.classification import (
    Failure,
    classify,
    is_database_error,
    is_network_error,
    is_overload,
    is_transient,
    never_sent,
)
from cqox.resilience.retry.retry import Retry
from cqox.resilience.runtime.clock import Clock
from cqox.resilience.runtime.criticality import Criticality, criticality, current_criticality

if TYPE_CHECKING:
    from cqox.resilience.limits.adaptive import AdaptiveLimit, AdaptiveLimitSnapshot
    from cqox.resilience.limits.bulkhead import Bulkhead, BulkheadSnapshot
    from cqox.resilience.limits.drain import Drain, DrainReport, InFlight
    from cqox.resilience.limits.keyed_rate_limit import Allowance, KeyedRateLimit
    from cqox.resilience.limits.load_shedding import Shed, ShedSnapshot
    from cqox.resilience.limits.rate_limit import RateLimit, RateLimitSnapshot
    from cqox.resilience.propagation.asgi import DeadlineMiddleware
    from cqox.resilience.propagation.http import (
        attempt_from_headers,
        call_headers,
        criticality_from_headers,
        deadline_from_headers,
        idempotency_key,
        propagate,
        propagate_sync,
    )
    from cqox.resilience.retry.fallback import Fallback
    from cqox.resilience.retry.hedge import Hedge

__all__ = [
    "AdaptiveLimit",
    "AdaptiveLimitSnapshot",
    "Allowance",
    "AttemptFailed",
    "AttemptStarted",
    "AttemptTimeout",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadSnapshot",
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
    "Criticality",
    "DeadlineExceeded",
    "DeadlineMiddleware",
    "Drain",
    "DrainReport",
    "Draining",
    "Event",
    "Failure",
    "FailureRate",
    "Fallback",
    "GaveUp",
    "Hedge",
    "InFlight",
    "KeyedRateLimit",
    "LoadShed",
    "Policy",
    "PolicyFileInvalid",
    "PolicyNotLoaded",
    "ProbeFailed",
    "RateLimit",
    "RateLimitSnapshot",
    "RateLimited",
    "Registry",
    "Rejected",
    "ResilienceError",
    "Retry",
    "RetryBudget",
    "RetryBudgetSnapshot",
    "RetryScheduled",
    "Shed",
    "ShedSnapshot",
    "TimedOut",
    "Timeout",
    "UnwantedResult",
    "api_timeout",
    "attempt_from_headers",
    "backoff",
    "call_headers",
    "circuit_breaker",
    "classify",
    "computation_timeout",
    "criticality",
    "criticality_from_headers",
    "current_criticality",
    "database_timeout",
    "deadline",
    "deadline_from_headers",
    "exponential_backoff_retry",
    "idempotency_key",
    "is_database_error",
    "is_network_error",
    "is_overload",
    "is_transient",
    "never_sent",
    "propagate",
    "propagate_sync",
    "registry",
    "remaining",
    "retry_on_database_error",
    "retry_on_network_error",
    "subscribe",
]

# Not every program needs these, so each is imported when it is first named.
_MODULES = {
    "AdaptiveLimit": "cqox.resilience.limits.adaptive",
    "AdaptiveLimitSnapshot": "cqox.resilience.limits.adaptive",
    "Allowance": "cqox.resilience.limits.keyed_rate_limit",
    "Bulkhead": "cqox.resilience.limits.bulkhead",
    "BulkheadSnapshot": "cqox.resilience.limits.bulkhead",
    "DeadlineMiddleware": "cqox.resilience.propagation.asgi",
    "Drain": "cqox.resilience.limits.drain",
    "DrainReport": "cqox.resilience.limits.drain",
    "Fallback": "cqox.resilience.retry.fallback",
    "Hedge": "cqox.resilience.retry.hedge",
    "InFlight": "cqox.resilience.limits.drain",
    "KeyedRateLimit": "cqox.resilience.limits.keyed_rate_limit",
    "RateLimit": "cqox.resilience.limits.rate_limit",
    "RateLimitSnapshot": "cqox.resilience.limits.rate_limit",
    "Shed": "cqox.resilience.limits.load_shedding",
    "ShedSnapshot": "cqox.resilience.limits.load_shedding",
    "attempt_from_headers": "cqox.resilience.propagation.http",
    "call_headers": "cqox.resilience.propagation.http",
    "criticality_from_headers": "cqox.resilience.propagation.http",
    "deadline_from_headers": "cqox.resilience.propagation.http",
    "idempotency_key": "cqox.resilience.propagation.http",
    "propagate": "cqox.resilience.propagation.http",
    "propagate_sync": "cqox.resilience.propagation.http",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
