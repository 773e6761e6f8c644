"""Decorating a callable: its kind is settled, its parts are planned, its identity is kept."""

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, cast

from cqox.resilience.pipeline.contexts import bind_async_context, bind_context
from cqox.resilience.pipeline.executor import bind_async, bind_blocking
from cqox.resilience.pipeline.generators import bind_async_generator
from cqox.resilience.pipeline.part import Part
from cqox.resilience.pipeline.plan import Stage, WrapperStage, plan
from cqox.resilience.runtime.callable_kinds import Kind, kind_of, name_of

__all__ = ["GuardRecord", "bind", "expose", "guard", "guarded_by", "kind_behind"]

_MARK = "__cqox_guarded__"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRecord:
    """What a guarded callable is made of.

    Attributes:
        wrapper: the guarded callable; decorators in between copy this record, and are told by that.
        function: what it guards.
        parts: outermost first.
        kind: what it was decorated as.
        bare: True where the parts were stacked as decorators.
    """

    wrapper: weakref.ref[Any]
    function: Callable[..., Any]
    parts: tuple[Part, ...]
    kind: Kind
    bare: bool


def guarded_by(function: object) -> GuardRecord | None:
    """How `function` is guarded; None where it is not, or where another decorator lies between."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, GuardRecord) and mark.wrapper() is function else None


def kind_behind(function: Callable[..., Any]) -> Kind:
    """The kind of `function`, which may be guarded, or a bound method or partial of what is.

    Raises:
        TypeError: it is none that can be guarded.
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


def guard[F: Callable[..., object]](function: F, parts: Sequence[Part], *, policy: str, bare: bool = False) -> F:
    """Put `parts`, outermost first, around `function`.

    Decorators that were stacked on one another become one stage.

    Args:
        function: what to guard.
        parts: what guards it.
        policy: name of the policy, empty for that of the function.
        bare: True for a decorator.

    Raises:
        TypeError: it is of a kind that cannot be guarded, or one of the parts cannot guard that kind.
    """
    if isinstance(function, staticmethod | classmethod):
        unbound = cast("Any", function)
        return cast("F", type(unbound)(guard(unbound.__func__, parts, policy=policy, bare=bare)))
    below = guarded_by(function)
    kind = kind_behind(function)
    target: Callable[..., Any] = function
    if bare and below is not None and below.bare:
        target, parts = below.function, (*parts, *below.parts)
    name = name_of(target)
    stages = plan(parts, policy=policy or name, function=name, asynchronous=kind.asynchronous, bare=bare)
    wrapper = bind(target, kind, stages)
    functools.update_wrapper(wrapper, function, updated=())
    wrapper.__name__ = name
    _copy_attributes(function, wrapper)
    setattr(
        wrapper,
        _MARK,
        GuardRecord(wrapper=weakref.ref(wrapper), function=target, parts=tuple(parts), kind=kind, bare=bare),
    )
    return cast("F", wrapper)


def expose(guarded: object, **attributes: object) -> None:
    """Give a guarded callable attributes; a static or class method has them on the function that it hands out too."""
    for target in (guarded, getattr(guarded, "__func__", None)):
        if target is not None:
            vars(target).update(attributes)


def bind(function: Callable[..., Any], kind: Kind, stages: Sequence[Stage | WrapperStage]) -> Callable[..., Any]:
    """A callable of that kind that calls `function` through `stages`, outermost first.

    Raises:
        TypeError: one of the stages cannot guard that kind.
    """
    if kind in (Kind.FUNCTION, Kind.COROUTINE):
        for stage in reversed(stages):
            if isinstance(stage, Stage):
                function = (bind_async if kind.asynchronous else bind_blocking)(function, stage)
            else:
                wrapper = stage.wrapper
                function = (wrapper.wrap_async if kind.asynchronous else wrapper.wrap_blocking)(function, stage.facts)
        return function
    plain = [stage for stage in stages if isinstance(stage, Stage)]
    if len(plain) < len(stages):
        raise TypeError(f"a {kind} cannot be guarded by a hedge or fallback: its result is not a value")
    if kind is Kind.ASYNC_GENERATOR:
        for stage in reversed(plain):
            function = bind_async_generator(function, stage)
        return function
    return (bind_async_context if kind is Kind.ASYNC_CONTEXT else bind_context)(function, plain)


def _copy_attributes(function: object, wrapper: object) -> None:
    # A callable object keeps its state in __dict__, which is no set of function attributes.
    if hasattr(function, "__code__"):
        vars(wrapper).update({key: value for key, value in vars(function).items() if key not in (_MARK, "__wrapped__")})
