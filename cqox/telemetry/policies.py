"""Events of the policies of `cqox.resilience` as metrics and as events of the current span.

Only waits between attempts and rejections get a span of their own.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar

from cqox.resilience import (
    AttemptFailed,
    AttemptStarted,
    Bulkhead,
    BulkheadSnapshot,
    CallRejected,
    CircuitBreaker,
    CircuitClosed,
    CircuitDisabled,
    CircuitHalfOpened,
    CircuitIsolated,
    CircuitObserved,
    CircuitOpened,
    CircuitSnapshot,
    CircuitState,
    Event,
    GaveUp,
    Policy,
    ProbeFailed,
    Registry,
    Retry,
    RetryBudgetSnapshot,
    RetryScheduled,
    TimedOut,
    Timeout,
    registry,
    subscribe,
)
from cqox.resilience.pipeline.part import Gate
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metrics import Labels
from cqox.telemetry.outcome import error_type
from cqox.telemetry.spans import Attributes, current_span, span, span_since

__all__ = ["PolicyListener", "watch_policies"]

_STATES: dict[type[Event], str] = {
    CircuitOpened: "open",
    CircuitHalfOpened: "half_open",
    CircuitClosed: "closed",
    CircuitIsolated: "isolated",
    CircuitDisabled: "disabled",
    CircuitObserved: "observed",
}
_waiting_since: ContextVar[int] = ContextVar("cqox_retry_waiting_since", default=0)


class PolicyListener:
    """Listener for `cqox.resilience.subscribe`; runs in the task that emitted the event.

    Args:
        now_ns: nanoseconds since the epoch.
    """

    def __init__(self, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns

    def __call__(self, event: Event) -> None:
        """Record the event as metrics and on the current span."""
        policy = {"policy": event.name}
        match event:
            case AttemptStarted(attempt=attempt, max_attempts=most):
                if attempt > 1:
                    metrics.count(metric_definitions.RETRIES, policy)
                    self._waited(event.name, attempt, most)
            case AttemptFailed(attempt=attempt, error=error):
                _note("attempt failed", event, attempt=attempt, error=error_type(error))
            case RetryScheduled(attempt=attempt, delay=delay, error=error):
                _waiting_since.set(self._now_ns())
                _note("retry scheduled", event, attempt=attempt, delay=delay, error=error_type(error))
            case GaveUp(attempt=attempt, reason=reason):
                metrics.count(metric_definitions.GIVEN_UP, policy)
                _note("gave up", event, attempt=attempt, reason=reason)
            case CallRejected(kind=kind, retry_after=retry_after, enforced=enforced):
                if enforced:
                    metrics.count(metric_definitions.REJECTIONS, {**policy, "reason": kind})
                _refused(event.name, kind, retry_after, enforced)
            case TimedOut(seconds=seconds):
                metrics.count(metric_definitions.TIMEOUTS, policy)
                _note("timed out", event, seconds=seconds)
            case ProbeFailed(error=error):
                _note("probe failed", event, error=error_type(error))
            case _ if type(event) in _STATES:
                state = _STATES[type(event)]
                metrics.count(metric_definitions.CIRCUIT_TRANSITIONS, {**policy, "state": state})
                _note(f"circuit {state}", event, reason=getattr(event, "reason", ""))
            case _:
                _note(type(event).__name__, event)

    def _waited(self, policy: str, attempt: int, most: int) -> None:
        since = _waiting_since.get()
        if since:
            _waiting_since.set(0)
            attributes: Attributes = {"cqox.policy": policy, "cqox.attempt": attempt, "cqox.max_attempts": most}
            span_since(f"wait before attempt {attempt}", since, attributes)


def watch_policies(policies: Registry = registry) -> Callable[[], None]:
    """Record every policy event and observe the state of the registered policies.

    Returns:
        A function that stops it.
    """
    ends = [
        subscribe(PolicyListener()),
        metrics.watch(metric_definitions.CIRCUIT_STATE, lambda: _circuits(policies)),
        metrics.watch(metric_definitions.RETRY_BUDGET, lambda: _budgets(policies)),
        metrics.born(metric_definitions.CIRCUIT_TRANSITIONS, lambda: _transitions(policies)),
        metrics.born(metric_definitions.RETRIES, lambda: _retrying(policies)),
        metrics.born(metric_definitions.GIVEN_UP, lambda: _retrying(policies)),
        metrics.born(metric_definitions.TIMEOUTS, lambda: _timeouts(policies)),
        metrics.born(metric_definitions.REJECTIONS, lambda: _rejecting(policies)),
        metrics.watch(metric_definitions.BULKHEAD_RUNNING, lambda: _bulkheads(policies, "running")),
        metrics.watch(metric_definitions.BULKHEAD_QUEUED, lambda: _bulkheads(policies, "queued")),
        metrics.watch(metric_definitions.BULKHEAD_LIMIT, lambda: _bulkheads(policies, "max_concurrent")),
    ]

    def end() -> None:
        for each in ends:
            each()

    return end


def _note(name: str, event: Event, **facts: str | int | float) -> None:
    span = current_span()
    if span.recording:
        shown = {f"cqox.{key}": value for key, value in facts.items() if value != ""}
        span.event(name, {"cqox.policy": event.name, **shown})


def _refused(policy: str, kind: str, retry_after: float, enforced: bool) -> None:
    if not current_span().recording:
        return
    attributes: Attributes = {"cqox.policy": policy, "cqox.reason": kind, "cqox.retry_after": retry_after}
    with span(f"{'rejected' if enforced else 'would reject'} by {kind}", attributes) as refusal:
        if enforced:
            refusal.fail(kind)


def _circuits(policies: Registry) -> Iterable[tuple[float, Labels]]:
    for snapshot in _states(policies, CircuitSnapshot):
        for state in CircuitState:
            yield float(snapshot.state is state), {"policy": snapshot.name, "state": state.value}


def _transitions(policies: Registry) -> Iterable[Labels]:
    for snapshot in _states(policies, CircuitSnapshot):
        for state in _STATES.values():
            yield {"policy": snapshot.name, "state": state}


def _retrying(policies: Registry) -> Iterable[Labels]:
    for policy in _policies(policies):
        if any(isinstance(part, Retry) for part in policy.parts):
            yield {"policy": policy.name}


def _timeouts(policies: Registry) -> Iterable[Labels]:
    for policy in _policies(policies):
        yield from ({"policy": part.name} for part in policy.parts if isinstance(part, Timeout))


def _rejecting(policies: Registry) -> Iterable[Labels]:
    for snapshot in _states(policies, CircuitSnapshot):
        yield {"policy": snapshot.name, "reason": CircuitBreaker.__name__}
    for bulkhead in _states(policies, BulkheadSnapshot):
        yield {"policy": bulkhead.name, "reason": Bulkhead.__name__}
    for policy in _policies(policies):
        for part in policy.parts:
            if isinstance(part, Gate) and not isinstance(part, CircuitBreaker):
                yield {"policy": part.name, "reason": part.kind}


def _policies(policies: Registry) -> Iterator[Policy]:
    for key in policies:
        with suppress(KeyError):
            # It may have ended since the keys were listed.
            policy = policies[key]
            if isinstance(policy, Policy):
                yield policy


def _budgets(policies: Registry) -> Iterable[tuple[float, Labels]]:
    budgets: dict[str, RetryBudgetSnapshot] = {}
    for policy in _policies(policies):
        for part in policy.parts:
            if isinstance(part, Retry) and part.budget is not None:
                found = part.budget.snapshot()
                budgets[found.name] = found
    for budget in budgets.values():
        yield budget.available, {"policy": budget.name}


def _bulkheads(policies: Registry, what: str) -> Iterable[tuple[float, Labels]]:
    for snapshot in _states(policies, BulkheadSnapshot):
        yield float(getattr(snapshot, what)), {"policy": snapshot.name}


def _states[State: (CircuitSnapshot, BulkheadSnapshot)](policies: Registry, kind: type[State]) -> Iterable[State]:
    # A part is registered by itself and inside each of its policies: report it once.
    found: dict[str, State] = {}
    for snapshot in policies.snapshot().values():
        for state in _within(snapshot):
            if isinstance(state, kind):
                found[state.name] = state
    return found.values()


def _within(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, tuple | list):
        for item in value:
            yield from _within(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _within(getattr(value, field.name))
