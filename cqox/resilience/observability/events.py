"""Effects of an event: what it counts, and what it adds to the span around the call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from cqox.resilience.observability.metrics import (
    CIRCUIT_TRANSITIONS,
    GIVEN_UP,
    REJECTIONS,
    RETRIES,
    TIMEOUTS,
    Metric,
)
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
)

__all__ = ["TRANSITIONS", "Labels", "SpanEvent", "counted", "span_event"]

type Labels = Mapping[str, str]

TRANSITIONS: Mapping[type[Event], str] = {
    CircuitOpened: "open",
    CircuitHalfOpened: "half_open",
    CircuitClosed: "closed",
    CircuitIsolated: "isolated",
    CircuitDisabled: "disabled",
    CircuitObserved: "observed",
}
"""Label `state` of a transition, by its event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """An event of a span.

    Attributes:
        name: of low cardinality.
        attributes: names of the policy and of the class of an exception, never its message; attempts and seconds.
    """

    name: str
    attributes: Mapping[str, str | int | float]


def counted(event: Event) -> Iterator[tuple[Metric, Labels]]:
    """Yield each counter that `event` increments by one, with its labels."""
    policy = {"policy": event.name}
    match event:
        case AttemptStarted(attempt=attempt):
            if attempt > 1:
                yield RETRIES, policy
        case GaveUp():
            yield GIVEN_UP, policy
        case CallRejected(kind=kind, enforced=enforced):
            if enforced:
                yield REJECTIONS, {**policy, "reason": kind}
        case TimedOut():
            yield TIMEOUTS, policy
        case _ if type(event) in TRANSITIONS:
            yield CIRCUIT_TRANSITIONS, {**policy, "state": TRANSITIONS[type(event)]}
        case _:
            pass


def span_event(event: Event) -> SpanEvent | None:
    """Return what `event` adds to the current span; None for the start of an attempt, which adds nothing."""
    match event:
        case AttemptStarted():
            return None
        case AttemptFailed(attempt=attempt, error=error):
            return _of(event, "attempt failed", attempt=attempt, error=_class(error))
        case RetryScheduled(attempt=attempt, delay=delay, error=error):
            return _of(event, "retry scheduled", attempt=attempt, delay=delay, error=_class(error))
        case GaveUp(attempt=attempt, reason=reason):
            return _of(event, "gave up", attempt=attempt, reason=reason)
        case CallRejected(kind=kind, retry_after=retry_after, enforced=enforced):
            verb = "rejected" if enforced else "would reject"
            return _of(event, f"{verb} by {kind}", reason=kind, retry_after=retry_after)
        case TimedOut(seconds=seconds):
            return _of(event, "timed out", seconds=seconds)
        case ProbeFailed(error=error):
            return _of(event, "probe failed", error=_class(error))
        case _ if type(event) in TRANSITIONS:
            return _of(event, f"circuit {TRANSITIONS[type(event)]}", reason=getattr(event, "reason", ""))
        case _:
            return _of(event, type(event).__name__)


def _of(event: Event, name: str, **facts: str | int | float) -> SpanEvent:
    shown = {f"cqox.{key}": value for key, value in facts.items() if value != ""}
    return SpanEvent(name=name, attributes={"cqox.policy": event.name, **shown})


def _class(error: BaseException) -> str:
    """Return the class name of an exception; for a group that of its first leaf, which is more specific."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return type(error).__qualname__
