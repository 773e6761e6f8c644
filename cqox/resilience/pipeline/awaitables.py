"""Guards for plain functions that return an awaitable: a future, a call of grpc.aio, a request of aiohttp.

Such a function cannot be recognised before it is called, so the first call decides: its permits pass to the awaitable,
and from then on the function is guarded as a coroutine function, whose calls start when they are awaited.
"""

import inspect
import warnings
import weakref
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType, MethodType, NoneType
from typing import Any, Final

from cqox.resilience.pipeline.permit import NO_RESULT, NO_STANDING_PERMIT, Admission, Permit
from cqox.resilience.pipeline.plan import Stage
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline

__all__ = [
    "Awaiting",
    "Binding",
    "awaiting",
    "bind_further_calls",
    "must_be_awaited",
    "plain_type",
    "remember",
    "resume",
    "returns_awaitables",
    "settle_contextual",
]

type Binding = Callable[[Callable[..., Awaitable[Any]], Stage], Callable[..., Awaitable[Any]]]
"""Binds a callee to a stage as a coroutine function."""

# Types of results that need no look, for speed.
_PLAIN_TYPES: Final = frozenset({NoneType, bool, int, float, str, bytes, list, dict, tuple, set})

_known: "weakref.WeakSet[Any]" = weakref.WeakSet()


def must_be_awaited(result: Any, function: str) -> bool:  # noqa: ANN401 - the callee's result
    """Return whether a plain function returned an awaitable.

    Raises:
        TypeError: it returned a coroutine or an async generator, for which it is of the wrong kind.
    """
    if type(result) in _PLAIN_TYPES:
        return False
    if type(result) is CoroutineType:
        result.close()
        raise TypeError(f"{function} is a plain function that returned a coroutine: make it a coroutine function")
    if isinstance(result, AsyncGeneratorType):
        raise TypeError(
            f"{function} is a plain function that returned an async generator: make it an async generator function"
        )
    return inspect.isawaitable(result)


def plain_type(result: object) -> type[object] | None:
    """Return the type of a non-awaitable result; None where other results of that type may be awaitable."""
    return None if isinstance(result, GeneratorType) else type(result)


def returns_awaitables(function: object) -> bool:
    """Return whether `function` has returned an awaitable before."""
    if not _known:
        return False
    try:
        return _underlying(function) in _known
    except TypeError:  # not hashable, or not weakly referenceable
        return False


def awaiting(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Wrap `function`, which returns a value or an awaitable, as a coroutine function."""

    async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return call


def settle_contextual(held: list[Permit]) -> list[Permit]:
    """Settle the permits bound to the caller's context, which the awaiting task may not share; return the rest."""
    for permit in reversed(held):
        if permit.contextual:
            permit.succeed(NO_RESULT)
    return [permit for permit in held if not permit.contextual]


def bind_further_calls(
    bind: Binding, function: Callable[..., Any], stage: Stage, args: tuple[Any, ...]
) -> Callable[..., "Awaiting"] | None:
    """Bind `function`, which has just returned an awaitable, so that further calls start when they are awaited.

    None where the stage serves many functions, of which the one in `args` did that.
    """
    if stage.of_many:
        remember(args[0])
        return None
    remember(function)
    call = bind(awaiting(function), stage)
    return lambda *args, **kwargs: Awaiting(partial(call, *args, **kwargs), stage.function)


def resume(
    bind: Binding,
    stage: Stage,
    function: Callable[..., Any],
    first: Any,  # noqa: ANN401 - an awaitable of any type
    outer: Sequence[Permit],
    inner: Sequence[Permit],
) -> Callable[..., "Awaiting"]:
    """Continue a call of `function` that has returned the awaitable `first`.

    Args:
        bind: binds a callee to a stage as a coroutine function.
        stage: the stage of the call.
        function: the callee, for further attempts.
        first: the awaitable that it returned.
        outer: permits from the gates around all attempts.
        inner: permits from the gates around this attempt.
    """
    made: list[Any] = [first]

    def next_attempt(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's
        return made.pop() if made else function(*args, **kwargs)

    continued = replace(
        stage,
        outer=tuple(_GrantedAdmission(permit) for permit in outer),
        inner=tuple(_GrantedAdmission(permit, gate) for permit, gate in zip(inner, stage.inner, strict=True)),
    )
    call = bind(awaiting(next_attempt), continued)
    return lambda *args, **kwargs: Awaiting(partial(call, *args, **kwargs), stage.function, [*outer, *inner], made)


class Awaiting(Awaitable[Any]):
    """A call that starts or continues when it is awaited; like a coroutine, it can be awaited once."""

    __slots__ = ("_call", "_function", "_held", "_made")

    def __init__(
        self,
        call: Callable[[], Awaitable[Any]],
        function: str,
        held: Sequence[Permit] = (),
        made: Sequence[object] = (),
    ) -> None:
        self._call: Callable[[], Awaitable[Any]] | None = call
        self._function = function
        self._held = list(held)
        self._made = made

    def __await__(self) -> Generator[Any, Any, Any]:
        """Start or continue the call."""
        call, self._call = self._call, None
        if call is None:
            raise RuntimeError(f"cannot await the same call of {self._function} twice")
        return call().__await__()

    def __del__(self) -> None:
        if getattr(self, "_call", None) is None:
            return
        self._call = None
        while self._held:
            self._held.pop().fail(GeneratorExit())
        warnings.warn(f"a guarded call of {self._function} was never awaited", RuntimeWarning, stacklevel=2)


class _GrantedAdmission:
    """An admission that is already granted; the gate decides about further attempts."""

    __slots__ = ("_gate", "_permit")

    standing = NO_STANDING_PERMIT

    def __init__(self, permit: Permit, gate: Admission | None = None) -> None:
        self._permit: Permit | None = permit
        self._gate = gate

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        permit, self._permit = self._permit, None
        if permit is not None:
            return permit
        assert self._gate is not None
        return self._gate.admit(deadline)

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        assert self._gate is not None
        return await self._gate.admit_waiting(deadline)

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        assert self._gate is not None
        return self._gate.admit_blocking(deadline)


def remember(function: object) -> None:
    """Note that `function` has returned an awaitable."""
    try:
        _known.add(_underlying(function))
    except TypeError:
        return


def _underlying(function: Any) -> Any:  # noqa: ANN401 - a callable of any type
    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        else:
            return function
