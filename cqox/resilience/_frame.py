"""One call through adjacent parts, in one coroutine or one function.

The two functions here are the same but for their waits. Whatever a call holds is on its stack `held`; it is settled in
reverse order, whichever way the call ends. Attempts run outside of any `except` block, so that a rejection has no
context and a failed attempt keeps nothing alive.
"""

from collections.abc import Awaitable, Callable
from contextvars import Token
from types import CoroutineType
from typing import Any

from cqox.resilience._ambient import ambient, fail_if_passed
from cqox.resilience._part import Judge
from cqox.resilience._permit import Permit
from cqox.resilience._plan import Frame, enclosing

__all__ = ["Published", "abandon", "bind_async", "bind_blocking", "judge_call"]


def bind_async(function: Callable[..., Awaitable[Any]], frame: Frame) -> Callable[..., Awaitable[Any]]:
    """A coroutine function that calls `function` through `frame`."""
    outer, loop, inner, limit = frame.outer, frame.loop, frame.inner, frame.limit
    facts, publishes = frame.facts, frame.publishes

    async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = ambient.get()
        if deadline is not None:
            deadline = fail_if_passed(deadline)
        held: list[Permit] = []
        judge: Judge | None = None
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
            if publishes:
                held.append(Published(frame, held))
            if loop is not None and (begun := loop.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            while True:
                try:
                    for gate in inner:
                        held.append(gate.admit(deadline) or await gate.admit_waiting(deadline))
                    if limit is None:
                        result = await function(*args, **kwargs)
                    else:
                        with limit.bound(deadline):
                            result = await function(*args, **kwargs)
                    break
                except Exception as error:
                    if loop is None:
                        raise
                    abandon(held, base, error)
                    judge = judge or judge_call(frame, held)
                    delay = judge.after(error)
                    if delay is None:
                        raise
                await judge.pause(delay)
            if judge is not None:
                judge.end()
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            if judge is not None:
                judge.end()
            abandon(held, 0, error)
            raise
        return result

    return guarded


def bind_blocking(function: Callable[..., Any], frame: Frame) -> Callable[..., Any]:
    """A function that calls `function` through `frame`."""
    outer, loop, inner, limit = frame.outer, frame.loop, frame.inner, frame.limit
    facts, publishes = frame.facts, frame.publishes

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        deadline = ambient.get()
        if deadline is not None:
            deadline = fail_if_passed(deadline)
        held: list[Permit] = []
        judge: Judge | None = None
        try:
            for gate in outer:
                held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
            if publishes:
                held.append(Published(frame, held))
            if loop is not None and (begun := loop.begin(facts)) is not None:
                held.append(begun)
            base = len(held)
            while True:
                try:
                    for gate in inner:
                        held.append(gate.admit(deadline) or gate.admit_blocking(deadline))
                    if limit is None:
                        result = function(*args, **kwargs)
                    else:
                        with limit.bound_blocking(deadline):
                            result = function(*args, **kwargs)
                    break
                except Exception as error:
                    if loop is None:
                        raise
                    abandon(held, base, error)
                    judge = judge or judge_call(frame, held)
                    delay = judge.after(error)
                    if delay is None:
                        raise
                judge.pause_blocking(delay)
            if type(result) is CoroutineType:
                result.close()
                raise TypeError(f"{frame.function} is a plain function that returned a coroutine: nothing guards it")
            if judge is not None:
                judge.end()
            while held:
                held.pop().succeed(result)
        except BaseException as error:
            if judge is not None:
                judge.end()
            abandon(held, 0, error)
            raise
        return result

    return guarded


def abandon(held: list[Permit], base: int, error: BaseException) -> None:
    """Settle what is held above `base`, all of it even if one of them raises."""
    try:
        while len(held) > base:
            held.pop().fail(error)
    finally:
        if len(held) > base:
            abandon(held, base, error)


def judge_call(frame: Frame, held: list[Permit]) -> Judge:
    """What decides about further attempts of one call that holds `held`."""
    assert frame.loop is not None
    further_out = () if frame.first else enclosing.get()
    return frame.loop.judge((*further_out, *held), frame.facts, frame.function)


class Published(Permit):
    """Shows a call's permits to a loop in a frame further in, until the call ends."""

    __slots__ = ("_token",)

    def __init__(self, frame: Frame, held: list[Permit]) -> None:
        further_out = () if frame.first else enclosing.get()
        self._token: Token[tuple[Permit, ...]] = enclosing.set((*further_out, *held))

    def succeed(self, value: object) -> None:
        enclosing.reset(self._token)

    def fail(self, error: BaseException) -> None:
        enclosing.reset(self._token)
