"""Parts: their settings, their dependencies on each other, and the rejections of gates."""

import copy
import gc
import math

import pytest

from cqox.errors import BulkheadFull
from cqox.resilience import (
    Bulkhead,
    CallRejected,
    CircuitBreaker,
    Hedge,
    KeyedRateLimit,
    Policy,
    Registry,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    deadline,
)
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.resilience.pipeline.part import Gate, Part, Permit, StageContext
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.testing import FakeClock, capture_events


class Open(Gate):
    """A gate that admits every call and has no settings."""

    name = "open"

    def admit(self, deadline: AmbientDeadline | None) -> Permit:
        return Permit()


class Named(Open):
    """A gate with one setting."""

    def reconfigure(self, *, name: str) -> None:
        if not name:
            raise ValueError("name must not be empty")
        self.name = name


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_part_is_the_part(duplicate) -> None:
    shed = Shed(1)
    assert duplicate(shed) is shed
    assert duplicate(shed)(lambda: shed.snapshot().running)() == 1
    assert shed.snapshot().running == 0
    breaker = CircuitBreaker("engine")
    assert duplicate({"breaker": breaker})["breaker"] is breaker


def test_a_change_is_checked_as_the_construction_is() -> None:
    limit = Timeout(2.0)
    breaker = CircuitBreaker("engine", probe_timeout=3.0)
    policy = Policy("engine policy", breaker, limit)
    for change in (lambda: breaker.reconfigure(probe_timeout=2.0), lambda: policy.reconfigure(probe_timeout=1.0)):
        with pytest.raises(ValueError, match=r"probe_timeout .* must be above the attempt timeout of 2 s"):
            change()
    for change in (lambda: limit.reconfigure(seconds=3.0), lambda: policy.reconfigure(seconds=30.0)):
        with pytest.raises(ValueError, match=r"probe_timeout .* not 3.0"):
            change()
    assert (limit.seconds, breaker.settings.probe_timeout) == (2.0, 3.0)
    # What fits together is taken together, whichever of the two comes first.
    policy.reconfigure(seconds=30.0, probe_timeout=40.0)
    policy.reconfigure(probe_timeout=1.0, seconds=0.5)
    assert (limit.seconds, breaker.settings.probe_timeout) == (0.5, 1.0)


def test_of_two_limits_the_smaller_is_what_a_probe_timeout_is_checked_against() -> None:
    outer, inner = Timeout(10.0, name="outer"), Timeout(5.0, name="inner")
    breaker = CircuitBreaker("engine", probe_timeout=7.0)
    Policy("engine policy", breaker, outer, inner)
    outer.reconfigure(seconds=20.0)
    with pytest.raises(ValueError, match="above the attempt timeout of 8 s"):
        inner.reconfigure(seconds=8.0)


def test_a_limit_that_is_gone_is_no_longer_checked() -> None:
    breaker = CircuitBreaker("engine", probe_timeout=3.0)
    Policy("gone", breaker, Timeout(2.0))
    gc.collect()
    breaker.reconfigure(probe_timeout=1.0)


def test_the_settings_of_a_part_are_the_arguments_of_its_reconfigure() -> None:
    assert Open().setting_names() == frozenset()
    assert Named().setting_names() == {"name"}
    assert Timeout(1.0).setting_names() == {"seconds"}


def test_prepared_changes_wait_until_they_are_applied() -> None:
    part = Named()
    apply = part.prepare(name="after")
    assert part.name == "open"
    apply()
    assert part.name == "after"
    with pytest.raises(ValueError, match="empty"):
        part.prepare(name="")()
    assert part.name == "after"


def test_a_part_that_defines_no_more_is_described_by_its_class_and_has_no_state() -> None:
    part = Open()
    assert (part.kind, part.describe(), part.snapshot()) == ("Open", "Open", None)
    assert part.admission(StageContext(policy="p", asynchronous=False)) is part
    with pytest.raises(NotImplementedError):
        part.admit_blocking(None)


def test_the_timeout_of_a_stage_is_that_of_its_shortest_limit() -> None:
    def timeout_of(*limits: Timeout) -> float:
        return StageContext(policy="p", asynchronous=True, limits=limits).attempt_timeout

    assert timeout_of() == math.inf
    changing = Timeout(5.0)
    assert timeout_of(changing, Timeout(7.0)) == 5.0
    changing.reconfigure(seconds=9.0)
    assert timeout_of(changing, Timeout(7.0)) == 7.0


def test_a_limit_is_known_as_it_will_be_once_pending_changes_are_applied() -> None:
    limit, other = Timeout(5.0), Timeout(7.0)
    assert limit.seconds_in({}) == limit.seconds_in({other: {"seconds": 1.0}}) == 5.0
    assert limit.seconds_in({limit: {"seconds": 2.0}}) == 2.0


def test_a_limit_checks_each_part_that_depends_on_it_once() -> None:
    checked: list[object] = []

    class Dependent(Open):
        def check_dependencies(self, pending: object) -> None:
            checked.append(pending)

    limit, dependent = Timeout(5.0), Dependent()
    limit.check_dependencies({})
    assert checked == []
    limit.depend(dependent)
    limit.depend(dependent)
    pending: dict[Part, dict[str, object]] = {limit: {"seconds": 2.0}}
    limit.check_dependencies(pending)
    assert checked == [pending]


def test_a_rejection_has_no_past_and_is_one_event() -> None:
    gate, rejection = Open(), BulkheadFull("slots", retry_after=3.0)
    try:
        raise ValueError("what the caller is busy with")
    except ValueError:
        with capture_events() as seen, pytest.raises(BulkheadFull) as caught:
            gate.refuse(rejection, lambda: 7.0)
    assert caught.value is rejection
    assert rejection.__context__ is None
    assert seen == [CallRejected(name="open", at=7.0, kind="Open", retry_after=3.0)]


def test_without_listeners_a_rejection_reads_no_clock() -> None:
    def now() -> float:
        raise AssertionError("read")

    with pytest.raises(BulkheadFull):
        Open().refuse(BulkheadFull("slots"), now)


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (Timeout(2.5), "<Timeout timeout: 2.5 s for one attempt>"),
        (Bulkhead(3, name="slots"), "<Bulkhead slots: at most 3 concurrent calls, 0 waiting>"),
        (Hedge(0.5), "<Hedge hedge: another attempt after every 0.5 s without a result, 2 in all>"),
        (
            Retry(3, max_duration=9.0, idempotent=True),
            "<Retry retry: up to 3 attempts within 9 s, pauses from 1 s to 2 s, idempotent>",
        ),
        (Retry(2), "<Retry retry: up to 2 attempts, pauses of 1 s, only requests never sent>"),
        (Retry(5, 10.0, 1.0), "<Retry retry: up to 5 attempts, pauses of 1 s, only requests never sent>"),
        (
            Retry(9_999, 0.5, 20.0, idempotent=True),
            "<Retry retry: up to 9999 attempts, pauses from 0.5 s to 20 s, idempotent>",
        ),
        (
            Retry(2, jitter="decorrelated", idempotent=True),
            "<Retry retry: up to 2 attempts, pauses from 1 s to 60 s, idempotent>",
        ),
        (Retry(1, idempotent=True), "<Retry retry: one attempt, no pauses>"),
        (deadline(2.0), "<deadline deadline: 2 s for the call, with all its attempts and pauses>"),
        (RetryBudget(0.1, name="of hosts"), "<RetryBudget of hosts: 0.1 per first attempt, 3 per second>"),
        (
            KeyedRateLimit(5, 60.0, name="callers", clock=FakeClock()),
            "<KeyedRateLimit callers: 5 calls of each key in 60 s, 5 at once, 0 of 10000 keys kept>",
        ),
        (KeyedBudget(100, 60.0), "<KeyedBudget keyed budget: 100 of each key in 60 s, 0 of 10000 keys kept>"),
        (Registry(), "<Registry: 0 policies and parts>"),
    ],
)
def test_a_part_shows_its_kind_name_and_behaviour(part: object, shown: str) -> None:
    assert repr(part) == shown
