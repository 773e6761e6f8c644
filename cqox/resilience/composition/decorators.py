"""Decorators for functions: one part each, which can be stacked, and be bare where the defaults do: `@circuit_breaker`.

Stacked decorators run as one stage. A bare retry decorator counts its function as idempotent.
"""

from collections.abc import Callable
from random import Random
from typing import cast

from cqox.resilience.circuit import CircuitBreaker, FailureRate, GuardedFunction
from cqox.resilience.circuit.settings import CircuitSettings, Failures, Probe, check_bound
from cqox.resilience.composition.bare import BreakerFactory, also_bare
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.pipeline.events import RetryScheduled
from cqox.resilience.pipeline.results import ResultCheck
from cqox.resilience.retry.attempt_controller import Backoff
from cqox.resilience.retry.backoff import Jitter
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.classification import is_database_error, is_network_error
from cqox.resilience.retry.retry import Exceptions, Retry
from cqox.resilience.runtime.callable_kinds import key_of, name_of
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.ranges import Seconds, as_listed, as_seconds, check_name

__all__ = [
    "CircuitBreakerDecorator",
    "api_timeout",
    "circuit_breaker",
    "computation_timeout",
    "database_timeout",
    "exponential_backoff_retry",
    "retry_on_database_error",
    "retry_on_network_error",
]


def _also_bare_breaker[**Q](
    factory: "Callable[Q, CircuitBreakerDecorator]",
) -> "BreakerFactory[Q, CircuitBreakerDecorator]":
    return cast("BreakerFactory[Q, CircuitBreakerDecorator]", also_bare(factory))


class CircuitBreakerDecorator:
    """Decorator returned by `circuit_breaker(...)`; each decorated function gets a breaker of its own."""

    __slots__ = ("_clock", "_name", "_settings")

    def __init__(self, settings: CircuitSettings, name: str | None, clock: Clock | TimeSource | None) -> None:
        self._settings = settings
        self._name = name
        self._clock = clock

    def __call__[**P, R](self, function: Callable[P, R]) -> GuardedFunction[P, R]:
        """Guard `function` and expose its breaker as `.breaker` of the result.

        Raises:
            TypeError: it is of a kind that cannot be guarded.
        """
        name = self._name or name_of(function)
        return CircuitBreaker.from_settings(name, self._settings, clock=self._clock, key=key_of(function))(function)


@_also_bare_breaker
def circuit_breaker(
    failure_threshold: int = 5,
    recovery_timeout: Seconds = 60.0,
    *,
    name: str | None = None,
    half_open_max_calls: int = 1,
    probe_timeout: Seconds | None = None,
    probe: Probe | None = None,
    failures: Failures = (Exception,),
    failure_if: Callable[..., bool] | None = None,
    failure_rate: FailureRate | None = None,
    clock: Clock | TimeSource | None = None,
) -> CircuitBreakerDecorator:
    """Decorate a function with a circuit breaker.

    Args:
        failure_threshold: consecutive failures that open the circuit, at least 1.
        recovery_timeout: seconds (or a `timedelta`) from opening to the next probe, from 0.
        name: its name in rejections; the name of the function by default. The registry lists it by module and
            qualified name, so that functions with the same name do not share a circuit.
        half_open_max_calls: see `CircuitBreaker`, as for all that follow.
        probe_timeout: see `CircuitBreaker`.
        probe: see `CircuitBreaker`.
        failures: see `CircuitBreaker`.
        failure_if: see `CircuitBreaker`.
        failure_rate: see `CircuitBreaker`.
        clock: see `CircuitBreaker`.

    Raises:
        ValueError: a setting is out of its range, or `failure_threshold` and `failure_rate` are both given.
    """
    if name is not None:
        check_name(name)
    settings = CircuitSettings(
        failure_threshold=failure_threshold,
        recovery_timeout=as_seconds(recovery_timeout),
        half_open_max_calls=half_open_max_calls,
        probe_timeout=None if probe_timeout is None else as_seconds(probe_timeout),
        probe=probe,
        failures=as_listed(failures),
        failure_if=failure_if,
        failure_rate=failure_rate,
    )
    check_bound(failure_threshold, failure_rate)
    return CircuitBreakerDecorator(settings, name, clock)


@also_bare
def exponential_backoff_retry(
    max_attempts: int = 3,
    base_delay: Seconds = 1.0,
    max_delay: Seconds = 60.0,
    jitter: Jitter = True,
    exceptions: Exceptions = (Exception,),
    *,
    budget: RetryBudget | None = None,
    idempotency_key: bool = False,
    max_retry_after: Seconds | None = None,
    retry_if: ResultCheck | None = None,
    max_duration: Seconds | None = None,
    backoff: Backoff | None = None,
    on_retry: Callable[[RetryScheduled], object] | None = None,
    clock: Clock | TimeSource | None = None,
    rng: Random | None = None,
) -> Retry:
    """Decorate a function with retries and exponential backoff.

    Args:
        max_attempts: attempts in all, at least 1.
        base_delay: the first pause before jitter, in seconds or as a `timedelta`, from 0.
        max_delay: cap of the pause before jitter, likewise.
        jitter: True: each pause is multiplied by 0.5 to 1.5; see `Retry` for the others.
        exceptions: a class or classes to retry, or a predicate.
        budget: see `Retry`, as for all that follow.
        idempotency_key: see `Retry`.
        max_retry_after: see `Retry`.
        retry_if: see `Retry`.
        max_duration: see `Retry`.
        backoff: see `Retry`.
        on_retry: see `Retry`.
        clock: see `Retry`.
        rng: see `Retry`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return Retry(
        max_attempts,
        base_delay,
        max_delay,
        jitter,
        exceptions,
        budget,
        idempotent=True,
        idempotency_key=idempotency_key,
        max_retry_after=max_retry_after,
        retry_if=retry_if,
        max_duration=max_duration,
        backoff=backoff,
        on_retry=on_retry,
        name="exponential_backoff_retry",
        clock=clock,
        rng=rng,
    )


@also_bare
def retry_on_network_error(
    max_attempts: int = 3,
    base_delay: Seconds = 1.0,
    max_delay: Seconds = 60.0,
    jitter: Jitter = True,
    *,
    budget: RetryBudget | None = None,
    clock: Clock | TimeSource | None = None,
    rng: Random | None = None,
) -> Retry:
    """Decorate a function with retries on transient network errors: connection errors, 429, 502, 503, 504.

    Args:
        max_attempts: attempts in all, at least 1.
        base_delay: the first pause before jitter, in seconds or as a `timedelta`, from 0.
        max_delay: cap of the pause before jitter, likewise.
        jitter: randomisation of the pauses; see `Retry`.
        budget: see `Retry`, as for all that follow.
        clock: see `Retry`.
        rng: see `Retry`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return exponential_backoff_retry(
        max_attempts, base_delay, max_delay, jitter, is_network_error, budget=budget, clock=clock, rng=rng
    )


@also_bare
def retry_on_database_error(
    max_attempts: int = 3,
    base_delay: Seconds = 1.0,
    max_delay: Seconds = 60.0,
    jitter: Jitter = True,
    *,
    budget: RetryBudget | None = None,
    clock: Clock | TimeSource | None = None,
    rng: Random | None = None,
) -> Retry:
    """Decorate a function with retries on transient database errors.

    These are connection errors, serialization failures, deadlocks and shutdowns.

    Args:
        max_attempts: attempts in all, at least 1.
        base_delay: the first pause before jitter, in seconds or as a `timedelta`, from 0.
        max_delay: cap of the pause before jitter, likewise.
        jitter: randomisation of the pauses; see `Retry`.
        budget: see `Retry`, as for all that follow.
        clock: see `Retry`.
        rng: see `Retry`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return exponential_backoff_retry(
        max_attempts, base_delay, max_delay, jitter, is_database_error, budget=budget, clock=clock, rng=rng
    )


@also_bare
def api_timeout(seconds: Seconds = 30.0, *, clock: Clock | TimeSource | None = None) -> Timeout:
    """Decorate a function with a timeout for calls of an API; see `Timeout`.

    Raises:
        ValueError: `seconds` is not above 0.
    """
    return Timeout(seconds, name="api_timeout", clock=clock)


@also_bare
def database_timeout(seconds: Seconds = 10.0, *, clock: Clock | TimeSource | None = None) -> Timeout:
    """Decorate a function with a timeout for calls of a database; see `Timeout`.

    Raises:
        ValueError: `seconds` is not above 0.
    """
    return Timeout(seconds, name="database_timeout", clock=clock)


@also_bare
def computation_timeout(seconds: Seconds = 120.0, *, clock: Clock | TimeSource | None = None) -> Timeout:
    """Decorate a function with a timeout for computations; see `Timeout`.

    Raises:
        ValueError: `seconds` is not above 0.
    """
    return Timeout(seconds, name="computation_timeout", clock=clock)
