"""Decoration of a callable: detect its kind, plan its parts, preserve its identity."""

import functools
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, cast

from cqox.resilience.pipeline.contexts import bind_async_context, bind_context
from cqox.resilience.pipeline.executor import bind_async, bind_blocking, bind_checked
from cqox.resilience.pipeline.generators import bind_async_generator, bind_generator
from cqox.resilience.pipeline.part import Part
from cqox.resilience.pipeline.plan import Stage, WrapperStage, plan
from cqox.resilience.runtime.ambient_deadline import unexpired
from cqox.resilience.runtime.callable_kinds import Kind, kind_of, name_of

__all__ = ["GuardRecord", "bind", "dress", "expose", "guard", "guarded_by", "kind_behind"]

_MARK = "__cqox_guarded__"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRecord:
    """The composition of a guarded callable.

    Attributes:
        wrapper: the guarded callable; a decorator in between copies this record, and is recognised by that.
        function: the callable that it guards.
        parts: outermost first.
        kind: the kind of callable that it was decorated as.
        bare: True where the parts were stacked as decorators.
    """

    wrapper: weakref.ref[Any]
    function: Callable[..., Any]
    parts: tuple[Part, ...]
    kind: Kind
    bare: bool


def guarded_by(function: object) -> GuardRecord | None:
    """Return the guard record of `function`; None where it is not guarded or another decorator lies in between."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, GuardRecord) and mark.wrapper() is function else None


def kind_behind(function: Callable[..., Any]) -> Kind:
    """Return the kind of `function`, which may be guarded, or a bound method or partial of a guarded callable.

    Raises:
        TypeError: it is not of a kind that can be guarded.
    """
    target: Any = function
    while True:
        below = guarded_by(target)
        if below is not None:
            return below.kind
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, MethodType):
            target = target.__func__
        else:
            return kind_of(function)


def guard[F: Callable[..., object]](
    function: F, parts: Sequence[Part], *, policy: str, bare: bool = False, key: Hashable = None
) -> F:
    """Put `parts`, outermost first, around `function`.

    Stacked decorators become one stage.

    Args:
        function: the callable to guard.
        parts: the parts around it.
        policy: name of the policy; empty to use the name of the function.
        bare: True for a part used as a decorator.
        key: key of the policy.

    Raises:
        TypeError: it is of a kind that cannot be guarded, or one of the parts cannot guard that kind.
    """
    if isinstance(function, staticmethod | classmethod):
        unbound = cast("Any", function)
        return cast("F", type(unbound)(guard(unbound.__func__, parts, policy=policy, bare=bare, key=key)))
    below = guarded_by(function)
    kind = kind_behind(function)
    target: Callable[..., Any] = function
    if bare and below is not None and below.bare:
        target, parts = below.function, (*parts, *below.parts)
    name = name_of(target)
    stages = plan(parts, policy=policy or name, function=name, asynchronous=kind.asynchronous, bare=bare, key=key)
    return cast("F", dress(bind(target, kind, stages), function, target, parts, kind=kind, bare=bare))


def dress(
    wrapper: Callable[..., Any],
    function: Callable[..., Any],
    target: Callable[..., Any],
    parts: Sequence[Part],
    *,
    kind: Kind,
    bare: bool,
) -> Callable[..., Any]:
    """Give `wrapper`, which calls `target` through `parts`, the identity of `function`, and its guard record."""
    functools.update_wrapper(wrapper, function, updated=())
    wrapper.__name__ = name_of(target)
    _copy_attributes(function, wrapper)
    record = GuardRecord(wrapper=weakref.ref(wrapper), function=target, parts=tuple(parts), kind=kind, bare=bare)
    setattr(wrapper, _MARK, record)
    return wrapper


Part.guard = staticmethod(guard)


def expose(guarded: object, **attributes: object) -> None:
    """Set attributes on a guarded callable, and on the underlying function of a static or class method."""
    for target in (guarded, getattr(guarded, "__func__", None)):
        if target is not None:
            vars(target).update(attributes)


def bind(function: Callable[..., Any], kind: Kind, stages: Sequence[Stage | WrapperStage]) -> Callable[..., Any]:
    """Wrap `function` in a callable of the same kind that runs it through `stages`, outermost first.

    Raises:
        TypeError: one of the stages cannot guard that kind.
    """
    if kind in (Kind.FUNCTION, Kind.COROUTINE):
        if stages and isinstance(stages[-1], WrapperStage):
            function = _checked_in_time(function, asynchronous=kind.asynchronous)
        for stage in reversed(stages):
            if isinstance(stage, Stage):
                if stage.check is None:
                    function = (bind_async if kind.asynchronous else bind_blocking)(function, stage)
                else:
                    function = bind_checked(function, stage, asynchronous=kind.asynchronous)
            else:
                wrapper = stage.wrapper
                function = (wrapper.wrap_async if kind.asynchronous else wrapper.wrap_blocking)(function, stage.facts)
        return function
    plain = [stage for stage in stages if isinstance(stage, Stage)]
    if len(plain) < len(stages):
        raise TypeError(f"{kind.named} cannot be guarded by a hedge, fallback or deadline: its result is not a value")
    if any(stage.check is not None for stage in plain):
        raise TypeError(f"{kind.named} cannot be guarded by a retry with retry_if: its result is not a value")
    if kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
        for stage in reversed(plain):
            function = (bind_async_generator if kind.asynchronous else bind_generator)(function, stage)
        return function
    return (bind_async_context if kind is Kind.ASYNC_CONTEXT else bind_context)(function, plain)


def _checked_in_time(function: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    """Return `function` behind the check of the deadline, which a wrapper leaves to what is further in."""

    async def in_time(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        unexpired()
        return await function(*args, **kwargs)

    def in_time_blocking(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        unexpired()
        return function(*args, **kwargs)

    return in_time if asynchronous else in_time_blocking


def _copy_attributes(function: object, wrapper: object) -> None:
    # A callable object keeps its state in __dict__; those are not function attributes.
    if hasattr(function, "__code__"):
        vars(wrapper).update({key: value for key, value in vars(function).items() if key not in (_MARK, "__wrapped__")})
