"""Functions whose calls go through the policy of a key that their arguments give."""

import inspect
from collections.abc import Callable, Generator, Hashable
from typing import Any, cast

from cqox.resilience.pipeline.decorate import dress, kind_behind
from cqox.resilience.pipeline.generators import forwarding
from cqox.resilience.pipeline.part import Part
from cqox.resilience.runtime.callable_kinds import Kind, name_of

__all__ = ["check_key_source", "guard_by_key", "key_function"]

type KeyOf = Callable[..., Hashable]
"""Returns the key of a call from the arguments of the call."""


def key_function(by: str | KeyOf, function: Callable[..., Any]) -> KeyOf:
    """Return the function that gives the key of a call of `function`.

    Args:
        by: that function itself, or the name of a parameter of `function` whose argument is the key.
        function: the guarded function.

    Raises:
        TypeError: `function` has no such parameter, or `by` is neither.
    """
    check_key_source(by)
    if not isinstance(by, str):
        return by
    name = by
    signature = inspect.signature(function)
    parameter = signature.parameters.get(name)
    if parameter is None or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise TypeError(f"{name_of(function)} has no parameter {name!r} to take the key from")
    positional = parameter.kind is not parameter.KEYWORD_ONLY
    at = list(signature.parameters).index(name) if positional else -1

    def argument(*args: Any, **kwargs: Any) -> Hashable:  # noqa: ANN401 - the callee's signature
        if 0 <= at < len(args):
            return cast("Hashable", args[at])
        if name in kwargs and parameter.kind is not parameter.POSITIONAL_ONLY:
            return cast("Hashable", kwargs[name])
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return cast("Hashable", bound.arguments[name])

    return argument


def check_key_source(by: object) -> None:
    """Check that `by` is the name of a parameter or a plain function.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(by, str) and (not callable(by) or inspect.iscoroutinefunction(by)):
        raise TypeError(
            f"the key must be given by a plain function or the name of a parameter, as in "
            f'@policy.keyed("host"), not {by!r}'
        )


def guard_by_key[F: Callable[..., object]](
    function: F,
    by: str | KeyOf,
    caller_for: Callable[[Hashable, Callable[..., Any], Kind], Callable[..., Any]],
    parts: tuple[Part, ...],
) -> F:
    """Guard `function` by the parts of the key of each call.

    Args:
        function: the function to guard.
        by: see `key_function`.
        caller_for: returns what calls a function of a kind, its first argument, through the policy of a key.
        parts: the parts of the policy, for the record of the guarded function.

    Raises:
        TypeError: it is of a kind that cannot be guarded, or `by` does not fit it.
    """
    if isinstance(function, staticmethod | classmethod):
        unbound = cast("Any", function)
        return cast("F", type(unbound)(guard_by_key(unbound.__func__, by, caller_for, parts)))
    if not callable(cast("object", function)):
        raise TypeError(
            f"only callables can be guarded, not {function!r}: give the key before the function, as in "
            '@policy.keyed("host")'
        )
    kind = kind_behind(function)
    key_of = key_function(by, function)

    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's signature
        return caller_for(key_of(*args, **kwargs), function, kind)(function, *args, **kwargs)

    async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the callee's signature
        return await guarded(*args, **kwargs)

    def items(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - the callee's signature
        return (yield from cast("Generator[Any, Any, Any]", guarded(*args, **kwargs)))

    wrapper: Callable[..., Any] = guarded
    if kind is Kind.COROUTINE:
        wrapper = awaited
    elif kind is Kind.GENERATOR:
        wrapper = items
    elif kind is Kind.ASYNC_GENERATOR:
        wrapper = forwarding(guarded)
    return cast("F", dress(wrapper, function, function, parts, kind=kind, bare=False))
