"""Execution of one call through one gate, with at most a retry and a limit inside of it: the most common stage.

It does what `executor` does for any stage, in one frame and without a list of permits, and looks for what the gate says
to every call before it asks the gate.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from sys import exception
from typing import Any

from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.attempts import judge_first, repeat_and_settle, repeat_blocking
from cqox.resilience.pipeline.awaitables import (
    Binding,
    bind_further_calls,
    must_be_awaited,
    plain_type,
    resume,
    settle_contextual,
)
from cqox.resilience.pipeline.permit import Admission, Permit, TimedGrant, fail_permits, time_of_call
from cqox.resilience.pipeline.plan import Stage, WrapperStage
from cqox.resilience.runtime.ambient_deadline import PASSES
from cqox.resilience.runtime.passing import passing

__all__ = ["Call", "bind_one_gate", "bind_one_gate_blocking", "bind_one_gate_call"]

type Call = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]
"""Calls a coroutine function with its arguments."""


def bind_one_gate(
    function: Callable[..., Awaitable[Any]], gate: Admission, stage: Stage
) -> Callable[..., Awaitable[Any]]:
    """Wrap `function` in a coroutine function that runs it through `stage`, whose one gate is `gate`."""
    standing, retry, limit, facts = gate.standing, stage.retry, stage.limit, stage.facts

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline, began, left = passing.lookup(), 0.0, 0.0
        if deadline is not None:
            if deadline is PASSES:
                return await function(*args, **kwargs)
            if not deadline.scope_id.is_innermost():
                deadline = deadline.here()
            if deadline is not None and (left := deadline.at - (began := deadline.clock())) <= 0.0:
                raise deadline.expired()
        permit, grant, admitted_at = standing.permit, None, 0.0
        if permit is None:
            if (grant := standing.grant) is not None:
                admitted_at = grant.now()
            else:
                # A rejection must have no context, so that the gate raises it where an exception is being handled.
                refusal = standing.refusal
                if refusal is not None and exception() is None and not events.listeners:
                    now = refusal.now()
                    if now < refusal.until:
                        raise refusal.rejection(now)
                permit = gate.admit(deadline) or await gate.admit_waiting(deadline)
                if deadline is not None:
                    began = time_of_call(deadline, permit)
                    left = deadline.at - began
        if retry is not None and events.listeners:
            retry.begin(facts)
        try:
            # Where the deadline ends sooner, `Limit.bound` would find that it needs no scope.
            if (
                limit is not None
                and (deadline is None or left > limit.seconds or not deadline.loop)
                and (bound := limit.bound(deadline, began)) is not None
            ):
                with bound:
                    result = await function(*args, **kwargs)
            else:
                result = await function(*args, **kwargs)
        except BaseException as error:
            if permit is None:
                permit = _permit_of(grant, admitted_at)
            if retry is None and deadline is None:
                permit.fail(error)
                raise
            attempts = judge_first(stage, deadline, permit, error, began)
            if attempts is None:
                raise
        else:
            if permit is not None:
                permit.succeed(result)
            elif grant is not None:
                grant.succeed(admitted_at, result)
            return result
        return await repeat_and_settle(attempts, function, args, kwargs)

    return guarded


def bind_one_gate_call(stages: Sequence[Stage | WrapperStage]) -> Call | None:
    """Return what calls any coroutine function through the only stage, if it has one gate, else None.

    It is `bind_one_gate` with the function as an argument, in the same steps. As the arguments of a call come as they
    are, and are spread once only, it costs less than one that passes the function on with them.
    """
    stage = stages[0]
    if len(stages) > 1 or not isinstance(stage, Stage) or stage.check is not None:
        return None
    found = stage.outermost_gate
    if found is None:
        return None
    gate = found
    standing, retry, limit, facts = gate.standing, stage.retry, stage.limit, stage.facts

    async def guarded(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the callee's result
        deadline, began, left = passing.lookup(), 0.0, 0.0
        if deadline is not None:
            if deadline is PASSES:
                return await function(*args, **kwargs)
            if not deadline.scope_id.is_innermost():
                deadline = deadline.here()
            if deadline is not None and (left := deadline.at - (began := deadline.clock())) <= 0.0:
                raise deadline.expired()
        permit, grant, admitted_at = standing.permit, None, 0.0
        if permit is None:
            if (grant := standing.grant) is not None:
                admitted_at = grant.now()
            else:
                # A rejection must have no context, so that the gate raises it where an exception is being handled.
                refusal = standing.refusal
                if refusal is not None and exception() is None and not events.listeners:
                    now = refusal.now()
                    if now < refusal.until:
                        raise refusal.rejection(now)
                permit = gate.admit(deadline) or await gate.admit_waiting(deadline)
                if deadline is not None:
                    began = time_of_call(deadline, permit)
                    left = deadline.at - began
        if retry is not None and events.listeners:
            retry.begin(facts)
        try:
            # Where the deadline ends sooner, `Limit.bound` would find that it needs no scope.
            if (
                limit is not None
                and (deadline is None or left > limit.seconds or not deadline.loop)
                and (bound := limit.bound(deadline, began)) is not None
            ):
                with bound:
                    result = await function(*args, **kwargs)
            else:
                result = await function(*args, **kwargs)
        except BaseException as error:
            if permit is None:
                permit = _permit_of(grant, admitted_at)
            if retry is None and deadline is None:
                permit.fail(error)
                raise
            attempts = judge_first(stage, deadline, permit, error, began)
            if attempts is None:
                raise
        else:
            if permit is not None:
                permit.succeed(result)
            elif grant is not None:
                grant.succeed(admitted_at, result)
            return result
        return await repeat_and_settle(attempts, function, args, kwargs)

    return guarded


def bind_one_gate_blocking(
    function: Callable[..., Any], gate: Admission, stage: Stage, bind_awaited: Binding
) -> Callable[..., Any]:
    """Synchronous twin of `bind_one_gate`; `bind_awaited` binds a callee that returns awaitables."""
    standing, retry, limit, facts, name = gate.standing, stage.retry, stage.limit, stage.facts, stage.function
    awaited: Callable[..., Any] | None = None
    plain: type[object] | None = None  # the type of the last result that was checked and is not awaitable

    def checked(result: Any, permit: Permit, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - of the callee
        nonlocal awaited, plain
        try:
            is_awaitable = must_be_awaited(result, name)
        except TypeError as error:
            permit.fail(error)
            raise
        if is_awaitable:
            awaited = bind_further_calls(bind_awaited, function, stage, args)
            return resume(bind_awaited, stage, function, result, settle_contextual([permit]), ())(*args, **kwargs)
        plain = plain_type(result)
        permit.succeed(result)
        return result

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        if awaited is not None:
            return awaited(*args, **kwargs)
        deadline, began = passing.lookup(), 0.0
        if deadline is not None:
            if deadline is PASSES:
                return function(*args, **kwargs)
            deadline = deadline.here()
            if deadline is not None and (began := deadline.clock()) >= deadline.at:
                raise deadline.expired()
        permit, grant, admitted_at = standing.permit, None, 0.0
        if permit is None:
            if (grant := standing.grant) is not None:
                admitted_at = grant.now()
            else:
                # A rejection must have no context, so that the gate raises it where an exception is being handled.
                refusal = standing.refusal
                if refusal is not None and exception() is None and not events.listeners:
                    now = refusal.now()
                    if now < refusal.until:
                        raise refusal.rejection(now)
                permit = gate.admit(deadline) or gate.admit_blocking(deadline)
                began = 0.0 if deadline is None else time_of_call(deadline, permit)
        if retry is not None and events.listeners:
            retry.begin(facts)
        try:
            bound = None if limit is None else limit.bound_blocking(deadline, began)
            if bound is None:
                result = function(*args, **kwargs)
            else:
                with bound:
                    result = function(*args, **kwargs)
        except BaseException as error:
            if permit is None:
                permit = _permit_of(grant, admitted_at)
            if retry is None and deadline is None:
                permit.fail(error)
                raise
            attempts = judge_first(stage, deadline, permit, error, began)
            if attempts is None:
                raise
        else:
            if type(result) is not plain:
                return checked(result, permit or _permit_of(grant, admitted_at), args, kwargs)
            if permit is not None:
                permit.succeed(result)
            elif grant is not None:
                grant.succeed(admitted_at, result)
            return result
        try:
            result = repeat_blocking(attempts, function, args, kwargs)
        except BaseException as error:
            fail_permits(attempts.held, 0, error, attempts.spent)
            raise
        return checked(result, permit, args, kwargs)

    return guarded


def _permit_of(grant: TimedGrant | None, admitted_at: float) -> Permit:
    """Return the permit of a call that `grant` admitted without making one."""
    assert grant is not None
    return grant.permit(admitted_at)
