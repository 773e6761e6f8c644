"""Effects of events: each kind counts what it means, and shows on a span without the text of an exception."""

import pytest

from cqox.resilience import (
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
from cqox.resilience.observability.events import counted, span_event
from cqox.resilience.pipeline import events

SECRET = OSError("password=hunter2")
BASE = {"name": "p", "at": 1.0}

CASES = [
    (AttemptStarted(**BASE, attempt=1, max_attempts=3), [], None),
    (AttemptStarted(**BASE, attempt=2, max_attempts=3), [("cqox.retry.attempts", {})], None),
    (
        AttemptFailed(**BASE, attempt=1, max_attempts=3, error=SECRET),
        [],
        ("attempt failed", {"attempt": 1, "error": "OSError"}),
    ),
    (
        RetryScheduled(**BASE, attempt=1, max_attempts=3, delay=0.5, error=ExceptionGroup("g", [SECRET])),
        [],
        ("retry scheduled", {"attempt": 1, "delay": 0.5, "error": "OSError"}),
    ),
    (
        GaveUp(**BASE, attempt=3, reason="3 attempts were made", error=SECRET),
        [("cqox.retry.given_up", {})],
        ("gave up", {"attempt": 3, "reason": "3 attempts were made"}),
    ),
    (
        CallRejected(**BASE, kind="Bulkhead", retry_after=0.0),
        [("cqox.rejections", {"reason": "Bulkhead"})],
        ("rejected by Bulkhead", {"reason": "Bulkhead", "retry_after": 0.0}),
    ),
    (
        CallRejected(**BASE, kind="CircuitBreaker", retry_after=2.0, enforced=False),
        [],
        ("would reject by CircuitBreaker", {"reason": "CircuitBreaker", "retry_after": 2.0}),
    ),
    (TimedOut(**BASE, seconds=0.5), [("cqox.timeouts", {})], ("timed out", {"seconds": 0.5})),
    (ProbeFailed(**BASE, error=SECRET), [], ("probe failed", {"error": "OSError"})),
    (
        CircuitOpened(**BASE, reason="5 consecutive failures", recovery_timeout=60.0),
        [("cqox.circuit.transitions", {"state": "open"})],
        ("circuit open", {"reason": "5 consecutive failures"}),
    ),
    (
        CircuitClosed(**BASE, reason="recovered"),
        [("cqox.circuit.transitions", {"state": "closed"})],
        ("circuit closed", {"reason": "recovered"}),
    ),
    (CircuitHalfOpened(**BASE), [("cqox.circuit.transitions", {"state": "half_open"})], ("circuit half_open", {})),
    (CircuitIsolated(**BASE), [("cqox.circuit.transitions", {"state": "isolated"})], ("circuit isolated", {})),
    (CircuitDisabled(**BASE), [("cqox.circuit.transitions", {"state": "disabled"})], ("circuit disabled", {})),
    (CircuitObserved(**BASE), [("cqox.circuit.transitions", {"state": "observed"})], ("circuit observed", {})),
    (Event(**BASE), [], ("Event", {})),
]


@pytest.mark.parametrize(("event", "counts", "shown"), CASES, ids=lambda value: type(value).__name__)
def test_an_event_counts_what_it_means_and_shows_on_a_span(event: Event, counts, shown) -> None:
    assert [(metric.name, labels) for metric, labels in counted(event)] == [
        (name, {"policy": "p", **labels}) for name, labels in counts
    ]
    assert all(tuple(labels) == metric.labels for metric, labels in counted(event))
    found = span_event(event)
    if shown is None:
        assert found is None
        return
    name, facts = shown
    assert found is not None
    assert (found.name, found.attributes) == (name, {"cqox.policy": "p", **{f"cqox.{k}": v for k, v in facts.items()}})


def test_every_kind_of_event_is_among_the_cases() -> None:
    known = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert {type(event) for event, _, _ in CASES} == known
