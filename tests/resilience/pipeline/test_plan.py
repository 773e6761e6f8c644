"""Division of parts into stages."""

import math

import pytest

from cqox.resilience import Bulkhead, Drain, Fallback, Hedge, RateLimit, Retry, RetryBudget, Timeout
from cqox.resilience.pipeline.part import Part
from cqox.resilience.pipeline.plan import Stage, WrapperStage, plan


def stages(*parts: Part) -> list[Stage | WrapperStage]:
    return plan(parts, policy="p", function="f", asynchronous=True, bare=False)


def bare(*parts: Part) -> Stage:
    (only,) = plan(parts, policy="p", function="f", asynchronous=True, bare=True)
    assert isinstance(only, Stage)
    return only


def stage(*parts: Part) -> Stage:
    (only,) = stages(*parts)
    assert isinstance(only, Stage)
    return only


def test_no_parts_are_no_stage() -> None:
    assert stages() == []


def test_gates_a_retry_more_gates_and_a_limit_are_one_stage() -> None:
    one, two, three = Drain(), Bulkhead(5), RateLimit(5)
    retry, limit = Retry(), Timeout(3.0)
    only = stage(one, two, retry, three, limit)
    assert (only.outer, only.retry, only.inner, only.limit) == ((one, two), retry, (three,), limit)
    assert only.facts.attempt_timeout == 3.0
    assert (only.first, only.publishes, only.function) == (True, False, "f")
    assert only.outermost_gate is None
    assert not only.is_retry_only


def test_without_a_retry_all_gates_are_outside() -> None:
    one, two = Bulkhead(5), RateLimit(5)
    only = stage(one, two, Timeout(1.0))
    assert (only.outer, only.retry, only.inner) == ((one, two), None, ())


def test_a_second_retry_and_a_limit_further_out_start_another_stage() -> None:
    first, second, limit = Retry(), Retry(), Timeout(1.0)
    outer, inner = stages(first, second)
    assert (outer.retry, outer.publishes, outer.first) == (first, True, True)
    assert (inner.retry, inner.publishes, inner.first) == (second, False, False)
    outer, inner = stages(limit, first)
    assert (outer.limit, outer.retry, outer.publishes) == (limit, None, True)
    assert (inner.limit, inner.retry) == (None, first)
    outer, inner = stages(limit, Bulkhead(5))
    assert not outer.publishes


def test_a_wrapper_is_a_stage_of_its_own_and_outermost_only_where_no_gate_is_further_out() -> None:
    fallback, hedge, gate = Fallback(str), Hedge(1.0), Bulkhead(5)
    first, second, third = stages(fallback, gate, hedge)
    assert isinstance(first, WrapperStage)
    assert isinstance(third, WrapperStage)
    assert (first.wrapper, first.facts.outermost) == (fallback, True)
    assert (second.outermost_gate, second.first, second.publishes) == (None, True, True)
    assert (third.wrapper, third.facts.outermost) == (hedge, False)
    assert [isinstance(each, WrapperStage) and each.facts.outermost for each in stages(fallback, hedge)] == [True, True]


def test_each_part_sees_the_limits_further_in_and_otherwise_those_further_out() -> None:
    outer, inner = Timeout(9.0), Timeout(2.0)
    assert [each.facts.limits for each in stages(outer, Bulkhead(5), inner)] == [(outer, inner), (inner,)]
    assert [each.facts.limits for each in stages(outer, Bulkhead(5))] == [(outer,), (outer,)]
    assert stage(Bulkhead(5)).facts.attempt_timeout == math.inf


def test_a_gate_around_a_retry_and_a_limit_and_a_retry_alone_are_known_as_such() -> None:
    gate = Bulkhead(5)
    assert stage(gate).outermost_gate is gate
    assert stage(gate, Timeout(1.0)).outermost_gate is gate
    assert stage(gate, Retry(idempotent=True), Timeout(1.0)).outermost_gate is gate
    assert stage(gate, Retry()).outermost_gate is None  # it looks at the requests of each call that is not idempotent
    assert stage(gate, Retry(idempotent=True, budget=RetryBudget())).outermost_gate is None
    assert stage(Retry(idempotent=True), gate).outermost_gate is None
    assert stage(gate, RateLimit(5)).outermost_gate is None
    assert stage(Timeout(1.0)).outermost_gate is None
    assert bare(Retry()).is_retry_only
    assert not bare(Retry(budget=RetryBudget())).is_retry_only
    assert not bare(Retry(), Timeout(1.0)).is_retry_only
    assert not bare(Bulkhead(5), Retry()).is_retry_only
    assert not stage(Retry()).is_retry_only  # it looks at the requests of each call that is not idempotent


def test_what_is_no_part_of_a_known_kind_is_refused() -> None:
    class Odd(Part):
        name = "odd"

    with pytest.raises(TypeError, match="is no part of this package"):
        stages(Bulkhead(5), Odd())
