"""Decorator factories that also decorate bare: `@api_timeout` is `@api_timeout()`."""

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast, overload

from cqox.resilience.circuit import GuardedFunction

__all__ = ["BreakerFactory", "DecoratorFactory", "also_bare"]


class DecoratorFactory[**Q, D](Protocol):
    """A function that returns a decorator, or decorates with its defaults where it is given a function alone."""

    __name__: str

    @overload
    def __call__[F: Callable[..., object]](self, function: F, /) -> F: ...
    @overload
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> D: ...


class BreakerFactory[**Q, D](Protocol):
    """A `DecoratorFactory` whose decorated functions have `.breaker`."""

    __name__: str

    @overload
    def __call__[**P, R](self, function: Callable[P, R], /) -> GuardedFunction[P, R]: ...
    @overload
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> D: ...


def also_bare[**Q, D](factory: Callable[Q, D]) -> DecoratorFactory[Q, D]:
    """Let `factory`, none of whose first arguments is callable, decorate a function without being called first."""
    make = cast("Callable[..., Any]", factory)

    @functools.wraps(factory)
    def decorate(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a decorator, or a decorated function
        if len(args) == 1 and not kwargs and (callable(args[0]) or isinstance(args[0], classmethod)):
            return make()(args[0])
        return make(*args, **kwargs)

    return cast("DecoratorFactory[Q, D]", decorate)
