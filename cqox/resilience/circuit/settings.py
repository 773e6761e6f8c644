"""Settings of a circuit, validated on construction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

from cqox.errors import Rejected
from cqox.resilience.circuit.health import ConsecutiveFailures, FailureRate, Health, Window, new_window
from cqox.resilience.runtime.atomic_counter import AtomicCounter
from cqox.resilience.runtime.ranges import (
    Covered,
    Listed,
    Seconds,
    check_arguments,
    check_callable,
    check_count,
    check_exceptions,
    check_kind,
    check_seconds,
)

__all__ = ["CircuitChanges", "CircuitSettings", "Failures", "Probe", "check_bound"]

_FAILURE_THRESHOLD = 5

type Failures = Listed[Exception]
"""Exceptions that count as failures of the dependency: a class, a collection of classes, or a predicate."""

type Probe = Callable[[], object] | Callable[[], Awaitable[object]]
"""Tests the dependency; it fails by raising, or by returning False."""


class CircuitChanges(TypedDict, total=False):
    """Settings that can be changed at run time."""

    failure_threshold: int
    recovery_timeout: Seconds
    half_open_max_calls: int
    probe_timeout: Seconds | None
    probe: Probe | None
    failures: Failures
    failure_if: Callable[..., bool] | None
    failure_rate: FailureRate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitSettings:
    """Settings of a circuit; see `CircuitBreaker`, which takes the same arguments.

    Durations are in seconds and exception classes a tuple, in whichever form they were given.

    Raises:
        ValueError: a setting is out of its range.
    """

    failure_threshold: int = _FAILURE_THRESHOLD
    recovery_timeout: float = 60.0
    half_open_max_calls: int = 1
    probe_timeout: float | None = None
    probe: Probe | None = None
    failures: Covered[BaseException] = (Exception,)
    failure_if: Callable[..., bool] | None = None
    failure_rate: FailureRate | None = None

    def __post_init__(self) -> None:
        check_count("failure_threshold", self.failure_threshold)
        object.__setattr__(self, "recovery_timeout", check_seconds("recovery_timeout", self.recovery_timeout))
        check_count("half_open_max_calls", self.half_open_max_calls)
        if self.probe_timeout is not None:
            object.__setattr__(self, "probe_timeout", check_seconds("probe_timeout", self.probe_timeout, zero=False))
        object.__setattr__(self, "failures", check_exceptions("failures", self.failures))
        for kind in () if callable(self.failures) else self.failures:
            if issubclass(kind, Rejected):
                raise ValueError(
                    f"failures must not list {kind.__name__}: a rejection by another part is no failure of the "
                    "dependency, which was not called; leave it out"
                )
        if self.probe is not None and not callable(self.probe):
            raise ValueError(f"probe must be callable, not {self.probe!r}")
        if self.probe is not None:
            check_arguments("probe", self.probe, 0)
        check_callable("failure_if", self.failure_if, takes=1)
        check_kind("failure_rate", self.failure_rate, FailureRate)

    def new_health(self, quiet: AtomicCounter) -> Health:
        """Create the health of a circuit that has just closed."""
        if self.failure_rate is None:
            return ConsecutiveFailures(self.failure_threshold)
        return new_window(self.failure_rate, quiet)

    def adapt(self, health: Health, quiet: AtomicCounter) -> Health:
        """Convert `health` to these settings, keeping the recorded outcomes where they still apply."""
        if self.failure_rate is None:
            return ConsecutiveFailures(
                self.failure_threshold, health.failures if isinstance(health, ConsecutiveFailures) else 0
            )
        return health.under(self.failure_rate) if isinstance(health, Window) else self.new_health(quiet)

    @property
    def slow_call_seconds(self) -> float | None:
        """Duration from which a call is slow, in seconds; None where slow calls are not counted."""
        return None if self.failure_rate is None else self.failure_rate.slow_call_seconds


def check_bound(failure_threshold: int | None, failure_rate: FailureRate | None) -> None:
    """Check that a threshold other than the default is not given where a failure rate opens the circuit.

    Args:
        failure_threshold: the threshold that is given, None if none is.
        failure_rate: the failure rate that is in force with it, None if the threshold is.

    Raises:
        ValueError: the threshold would have no effect.
    """
    if failure_rate is not None and failure_threshold not in (None, _FAILURE_THRESHOLD):
        raise ValueError(
            f"failure_threshold must be left out where failure_rate opens the circuit, not {failure_threshold!r}: "
            "leave out one of the two, or set failure_rate to None"
        )
