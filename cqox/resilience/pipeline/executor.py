"""Execution of one call through adjacent parts, in one coroutine or one function.

`bind_async` and `bind_blocking` differ only in their waits, and so do the pairs for the most common stages: a single
gate, and a retry alone. The permits of a call are on its stack `held` and are settled in reverse order, however the
call ends. Attempts run outside of any `except` block, so that a rejection has no context and a failed attempt keeps
nothing alive.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Token
from dataclasses import replace
from functools import partial
from typing import Any

from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.awaitables import (
    Awaiting,
    awaiting,
    must_be_awaited,
    plain_type,
    resume,
    settle_contextual,
)
from cqox.resilience.pipeline.part import Facts, Judge
from cqox.resilience.pipeline.permit import Admission, Permit, TimeSpent, seconds_at_work
from cqox.resilience.pipeline.plan import Stage, enclosing
from cqox.resilience.runtime.ambient_deadline import Ambient, ambient

__all__ = ["Published", "bind_async", "bind_blocking", "fail_permits", "judge_call", "time_spent"]


def bind_async(function: Callable[..., Awaitable[Any]], stage: Stage) -> Callable[..., Awaitable[Any]]:
    """Wrap `function` in a coroutine function that runs it through `stage`."""
    if stage.only_gate is not None:
        return _bind_gate_async(function, stage.only_gate, stage.facts)
    if stage.is_retry_only:
        return _bind_retry_async(function, stage)
    outer, retry, inner, limit = stage.outer, stage.retry, stage.inner, stage.limit
    facts, publishes, begins = stage.facts, stage.publishes, retry is not None and retry.begins_in(stage.facts)

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = ambient.get()
        if deadline is not None:
            deadline = deadline.or_raise()
        held: list[Permit] = []
        judge: Judge | None = None
        began = total = None
        worked = 0.0
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
            if publishes:
                held.append(Published(stage, held))
            if retry is not None and (begins or events.listeners) and (begun := retry.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            while True:
                try:
                    began = None
                    for gate in inner:
                        held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
                    began = 0.0 if deadline is None else deadline.clock()
                    bound = None if limit is None else limit.bound(deadline, began)
                    if bound is None:
                        result = await function(*args, **kwargs)
                    else:
                        with bound:
                            result = await function(*args, **kwargs)
                    break
                except BaseException as error:
                    spent = total = time_spent(deadline, began, facts, error)
                    if spent is not None:
                        worked += spent.seconds
                        total = replace(spent, seconds=worked)
                    fail_permits(held, base, error, spent)
                    if retry is None or not isinstance(error, Exception):
                        raise
                    judge = judge or judge_call(stage, held)
                    delay = judge.after(error, called=began is not None)
                    if delay is None:
                        raise
                total = None
                await judge.pause(delay)
            if judge is not None:
                judge.end()
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            if judge is not None:
                judge.end()
            fail_permits(held, 0, error, total)
            raise
        return result

    return guarded


def bind_blocking(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    """Wrap `function` in a function that runs it through `stage`."""
    if stage.only_gate is not None:
        return _bind_gate_blocking(function, stage.only_gate, stage)
    if stage.is_retry_only:
        return _bind_retry_blocking(function, stage)
    outer, retry, inner, limit = stage.outer, stage.retry, stage.inner, stage.limit
    facts, publishes, begins = stage.facts, stage.publishes, retry is not None and retry.begins_in(stage.facts)
    name = stage.function
    awaited: Callable[..., Any] | None = None
    plain: type[object] | None = None  # the type of the last result that was checked and is not awaitable

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        nonlocal awaited, plain
        if awaited is not None:
            return awaited(*args, **kwargs)
        deadline = ambient.get()
        if deadline is not None:
            deadline = deadline.or_raise()
        held: list[Permit] = []
        judge: Judge | None = None
        began = total = None
        worked = 0.0
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
            if publishes:
                held.append(Published(stage, held))
            if retry is not None and (begins or events.listeners) and (begun := retry.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            while True:
                try:
                    began = None
                    for gate in inner:
                        held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
                    began = 0.0 if deadline is None else deadline.clock()
                    bound = None if limit is None else limit.bound_blocking(deadline, began)
                    if bound is None:
                        result = function(*args, **kwargs)
                    else:
                        with bound:
                            result = function(*args, **kwargs)
                    break
                except BaseException as error:
                    spent = total = time_spent(deadline, began, facts, error)
                    if spent is not None:
                        worked += spent.seconds
                        total = replace(spent, seconds=worked)
                    fail_permits(held, base, error, spent)
                    if retry is None or not isinstance(error, Exception):
                        raise
                    judge = judge or judge_call(stage, held)
                    delay = judge.after(error, called=began is not None)
                    if delay is None:
                        raise
                total = None
                judge.pause_blocking(delay)
            if type(result) is not plain:
                if must_be_awaited(result, name):
                    if judge is not None:
                        judge.end()
                    awaited = _bind_awaiting(function, stage)
                    inside, held[base:] = held[base:], []
                    held[:] = settle_contextual(held)
                    return resume(bind_async, stage, function, result, held, inside)(*args, **kwargs)
                plain = plain_type(result)
            if judge is not None:
                judge.end()
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            if judge is not None:
                judge.end()
            fail_permits(held, 0, error, total)
            raise
        return result

    return guarded


def _bind_gate_async(
    function: Callable[..., Awaitable[Any]], gate: Admission, facts: Facts
) -> Callable[..., Awaitable[Any]]:
    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = ambient.get()
        if deadline is not None:
            deadline = deadline.or_raise()
        permit = gate.admit(deadline) or await gate.admit_waiting(deadline)
        entered = 0.0 if deadline is None else deadline.clock()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            fail_permits([permit], 0, error, time_spent(deadline, entered, facts, error))
            raise
        permit.succeed(result)
        return result

    return guarded


def _bind_gate_blocking(function: Callable[..., Any], gate: Admission, stage: Stage) -> Callable[..., Any]:
    facts, name = stage.facts, stage.function
    awaited: Callable[..., Any] | None = None
    plain: type[object] | None = None  # the type of the last result that was checked and is not awaitable

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        nonlocal awaited, plain
        if awaited is not None:
            return awaited(*args, **kwargs)
        deadline = ambient.get()
        if deadline is not None:
            deadline = deadline.or_raise()
        permit = gate.admit(deadline) or gate.admit_blocking(deadline)
        entered = 0.0 if deadline is None else deadline.clock()
        try:
            result = function(*args, **kwargs)
            if type(result) is not plain:
                if must_be_awaited(result, name):
                    awaited = _bind_awaiting(function, stage)
                    return resume(bind_async, stage, function, result, [permit], ())(*args, **kwargs)
                plain = plain_type(result)
        except BaseException as error:
            fail_permits([permit], 0, error, time_spent(deadline, entered, facts, error))
            raise
        permit.succeed(result)
        return result

    return guarded


def _bind_retry_async(function: Callable[..., Awaitable[Any]], stage: Stage) -> Callable[..., Awaitable[Any]]:
    retry, facts = stage.retry, stage.facts
    assert retry is not None

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = ambient.get()
        if deadline is not None:
            deadline.or_raise()
        if events.listeners:
            retry.begin(facts)
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            judge = judge_call(stage, [])
            delay = judge.after(error)
            if delay is None:
                raise
        try:
            while True:
                await judge.pause(delay)
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    delay = judge.after(error)
                    if delay is None:
                        raise
        finally:
            judge.end()

    return guarded


def _bind_retry_blocking(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    retry, facts, name = stage.retry, stage.facts, stage.function
    assert retry is not None
    awaited: Callable[..., Any] | None = None
    plain: type[object] | None = None  # the type of the last result that was checked and is not awaitable

    def checked(result: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - of the callee
        nonlocal awaited, plain
        if must_be_awaited(result, name):
            awaited = _bind_awaiting(function, stage)
            return resume(bind_async, stage, function, result, (), ())(*args, **kwargs)
        plain = plain_type(result)
        return result

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        if awaited is not None:
            return awaited(*args, **kwargs)
        deadline = ambient.get()
        if deadline is not None:
            deadline.or_raise()
        if events.listeners:
            retry.begin(facts)
        try:
            result = function(*args, **kwargs)
            return result if type(result) is plain else checked(result, args, kwargs)
        except Exception as error:
            judge = judge_call(stage, [])
            delay = judge.after(error)
            if delay is None:
                raise
        try:
            while True:
                judge.pause_blocking(delay)
                try:
                    return checked(function(*args, **kwargs), args, kwargs)
                except Exception as error:
                    delay = judge.after(error)
                    if delay is None:
                        raise
        finally:
            judge.end()

    return guarded


def time_spent(deadline: Ambient | None, began: float | None, facts: Facts, error: BaseException) -> TimeSpent | None:
    """Return the time that a callee called at `began` took until it raised `error`.

    None where it was not called or no deadline is in force.
    """
    if deadline is None or began is None:
        return None
    return TimeSpent(deadline, seconds_at_work(deadline, began, error), facts.attempt_timeout)


def fail_permits(held: list[Permit], base: int, error: BaseException, spent: TimeSpent | None = None) -> None:
    """Settle the permits above `base` as failed, all of them even if one raises.

    Args:
        held: permits of the call; it is truncated to `base`.
        base: number of permits that stay.
        error: exception that ended the call or the attempt.
        spent: time that the callee had, where a deadline is in force.
    """
    try:
        while len(held) > base:
            permit = held.pop()
            if spent is None:
                permit.fail(error)
            else:
                permit.fail_within_deadline(spent, error)
    finally:
        if len(held) > base:
            fail_permits(held, base, error, spent)


def _bind_awaiting(function: Callable[..., Any], stage: Stage) -> Callable[..., Awaiting]:
    """Bind `function`, which is known to return awaitables, so that a call starts when it is awaited."""
    call = bind_async(awaiting(function), stage)
    return lambda *args, **kwargs: Awaiting(partial(call, *args, **kwargs), stage.function)


def judge_call(stage: Stage, held: list[Permit]) -> Judge:
    """Create the controller of the attempts of one call that holds `held`."""
    assert stage.retry is not None
    further_out = () if stage.first else enclosing.get()
    return stage.retry.judge((*itertools.chain(*further_out), *held), stage.facts, stage.function)


class Published(Permit):
    """Publishes the permits of a call to a retry or wrapper in an inner stage, until the call ends."""

    __slots__ = ("_token",)

    contextual = True

    def __init__(self, stage: Stage, held: list[Permit]) -> None:
        further_out = () if stage.first else enclosing.get()
        # The list itself: the permits of one attempt's gates are added later.
        self._token: Token[tuple[Sequence[Permit], ...]] = enclosing.set((*further_out, held))

    def succeed(self, value: object) -> None:
        enclosing.reset(self._token)

    def fail(self, error: BaseException) -> None:
        enclosing.reset(self._token)
