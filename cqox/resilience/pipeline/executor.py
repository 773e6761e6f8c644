"""Execution of one call through adjacent parts, in one coroutine or one function.

`bind_async` and `bind_blocking` differ only in their waits, and so do the pairs for the most common stages: a gate with
at most a retry and a limit inside of it (`one_gate`), and a retry alone. Each makes the first attempt; further ones are
made by `attempts`. The permits of a call are settled in reverse order, however the call ends.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Token
from typing import Any

from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.attempts import Attempts, repeat, repeat_blocking
from cqox.resilience.pipeline.awaitables import (
    bind_further_calls,
    must_be_awaited,
    plain_type,
    remember,
    resume,
    settle_contextual,
)
from cqox.resilience.pipeline.one_gate import bind_one_gate, bind_one_gate_blocking
from cqox.resilience.pipeline.permit import Permit, fail_permits
from cqox.resilience.pipeline.plan import Stage, enclosing
from cqox.resilience.pipeline.results import raise_unwanted, raise_unwanted_blocking, return_last
from cqox.resilience.runtime.ambient_deadline import PASSES
from cqox.resilience.runtime.passing import passing

__all__ = ["bind_async", "bind_blocking", "bind_checked"]


def bind_async(function: Callable[..., Awaitable[Any]], stage: Stage) -> Callable[..., Awaitable[Any]]:
    """Wrap `function` in a coroutine function that runs it through `stage`."""
    if (gate := stage.outermost_gate) is not None:
        return bind_one_gate(function, gate, stage)
    if stage.is_retry_only:
        return _bind_retry_async(function, stage)
    outer, retry, inner, limit = stage.outer, stage.retry, stage.inner, stage.limit
    facts, publishes, begins = stage.facts, stage.publishes, retry is not None and retry.begins_in(stage.facts)

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = passing.lookup()
        if deadline is not None:
            if deadline is PASSES:
                return await function(*args, **kwargs)
            deadline = deadline.here()
            if deadline is not None and deadline.clock() >= deadline.at:
                raise deadline.expired()
        held: list[Permit] = []
        attempts: Attempts | None = None
        began = result = None
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
            if publishes:
                held.append(_Published(stage, held))
            if retry is not None and (begins or events.listeners) and (begun := retry.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            try:
                for gate in inner:
                    held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
                began = 0.0 if deadline is None else deadline.time_of_call()
                bound = None if limit is None else limit.bound(deadline, began)
                if bound is None:
                    result = await function(*args, **kwargs)
                else:
                    with bound:
                        result = await function(*args, **kwargs)
            except BaseException as error:
                attempts = Attempts(stage, deadline, held, base)
                if not attempts.failed(error, began):
                    raise
            if attempts is not None:
                result = await repeat(attempts, function, args, kwargs)
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            fail_permits(held, 0, error, None if attempts is None else attempts.spent)
            raise
        return result

    return guarded


def bind_blocking(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    """Wrap `function` in a function that runs it through `stage`."""
    if (gate := stage.outermost_gate) is not None:
        return bind_one_gate_blocking(function, gate, stage, _bind_awaited)
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
        deadline = passing.lookup()
        if deadline is not None:
            if deadline is PASSES:
                return function(*args, **kwargs)
            deadline = deadline.here()
            if deadline is not None and deadline.clock() >= deadline.at:
                raise deadline.expired()
        held: list[Permit] = []
        attempts: Attempts | None = None
        began = result = None
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
            if publishes:
                held.append(_Published(stage, held))
            if retry is not None and (begins or events.listeners) and (begun := retry.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            try:
                for gate in inner:
                    held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
                began = 0.0 if deadline is None else deadline.time_of_call()
                bound = None if limit is None else limit.bound_blocking(deadline, began)
                if bound is None:
                    result = function(*args, **kwargs)
                else:
                    with bound:
                        result = function(*args, **kwargs)
            except BaseException as error:
                attempts = Attempts(stage, deadline, held, base)
                if not attempts.failed(error, began):
                    raise
            if attempts is not None:
                result = repeat_blocking(attempts, function, args, kwargs)
            if type(result) is not plain:
                if must_be_awaited(result, name):
                    awaited = bind_further_calls(_bind_awaited, function, stage, args)
                    inside, held[base:] = held[base:], []
                    held[:] = settle_contextual(held)
                    return resume(_bind_awaited, stage, function, result, held, inside)(*args, **kwargs)
                plain = plain_type(result)
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            fail_permits(held, 0, error, None if attempts is None else attempts.spent)
            raise
        return result

    return guarded


def bind_checked(function: Callable[..., Any], stage: Stage, *, asynchronous: bool) -> Callable[..., Any]:
    """Bind `function` to a stage whose retry checks results."""
    check = stage.check
    assert check is not None
    if asynchronous:
        bound: Callable[..., Any] = bind_async(raise_unwanted(function, check), stage)
    else:
        bound = bind_blocking(raise_unwanted_blocking(function, check, _ignore if stage.of_many else remember), stage)
    return return_last(bound, asynchronous=asynchronous)


def _bind_retry_async(function: Callable[..., Awaitable[Any]], stage: Stage) -> Callable[..., Awaitable[Any]]:
    retry, facts = stage.retry, stage.facts
    assert retry is not None

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = passing.lookup()
        if deadline is not None:
            if deadline is PASSES:
                return await function(*args, **kwargs)
            deadline = deadline.here()
            if deadline is not None and deadline.clock() >= deadline.at:
                raise deadline.expired()
        if events.listeners:
            retry.begin(facts)
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            attempts = Attempts(stage, None, [], 0)
            if not attempts.failed(error, 0.0):
                raise
        return await repeat(attempts, function, args, kwargs)

    return guarded


def _bind_retry_blocking(function: Callable[..., Any], stage: Stage) -> Callable[..., Any]:
    retry, facts, name = stage.retry, stage.facts, stage.function
    assert retry is not None
    awaited: Callable[..., Any] | None = None
    plain: type[object] | None = None  # the type of the last result that was checked and is not awaitable

    def checked(result: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - of the callee
        nonlocal awaited, plain
        if must_be_awaited(result, name):
            awaited = bind_further_calls(_bind_awaited, function, stage, args)
            return resume(_bind_awaited, stage, function, result, (), ())(*args, **kwargs)
        plain = plain_type(result)
        return result

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        if awaited is not None:
            return awaited(*args, **kwargs)
        deadline = passing.lookup()
        if deadline is not None:
            if deadline is PASSES:
                return function(*args, **kwargs)
            deadline = deadline.here()
            if deadline is not None and deadline.clock() >= deadline.at:
                raise deadline.expired()
        if events.listeners:
            retry.begin(facts)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            attempts = Attempts(stage, None, [], 0)
            if not attempts.failed(error, 0.0):
                raise
        else:
            return result if type(result) is plain else checked(result, args, kwargs)
        return checked(repeat_blocking(attempts, function, args, kwargs), args, kwargs)

    return guarded


def _ignore(function: object) -> None:
    """Remember nothing of `operator.call`, which calls any function."""


def _bind_awaited(function: Callable[..., Awaitable[Any]], stage: Stage) -> Callable[..., Awaitable[Any]]:
    return bind_async(function, stage) if stage.check is None else bind_checked(function, stage, asynchronous=True)


class _Published(Permit):
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
