"""Kinds of callables, detected once on decoration."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Any, Final

__all__ = ["FLAGS", "KIND_FLAGS", "Kind", "key_of", "kind_of", "name_of"]


class Kind(StrEnum):
    """Kind of a callable that can be guarded."""

    FUNCTION = "function"
    COROUTINE = "coroutine function"
    GENERATOR = "generator function"
    ASYNC_GENERATOR = "async generator function"
    CONTEXT = "context manager factory"
    ASYNC_CONTEXT = "async context manager factory"

    @property
    def asynchronous(self) -> bool:
        """True where the callee is awaited."""
        return self in (Kind.COROUTINE, Kind.ASYNC_GENERATOR, Kind.ASYNC_CONTEXT)

    @property
    def named(self) -> str:
        """Its name with the indefinite article."""
        return f"{'an' if self.startswith('a') else 'a'} {self}"


@contextmanager
def _context() -> Generator[None]:
    yield


@asynccontextmanager
async def _async_context() -> AsyncGenerator[None]:
    yield


# All functions that these decorators return share one code object, which identifies them.
_BY_CODE = {_context.__code__: Kind.CONTEXT, _async_context.__code__: Kind.ASYNC_CONTEXT}


def kind_of(function: Callable[..., Any]) -> Kind:
    """Return the kind of `function`.

    Raises:
        TypeError: it is not of a kind that can be guarded.
    """
    if not callable(function):
        raise TypeError(f"only callables can be guarded, not {function!r}{_hint(function)}")
    if isinstance(function, type):
        raise TypeError(f"{function!r} is a class: guard the function or method that calls it")
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if isinstance(target, type):
        if hasattr(target, "__await__"):
            raise TypeError(
                f"{name_of(function)} is a class whose objects are awaited: guard a coroutine function that awaits one"
            )
        return Kind.FUNCTION  # its instances may be awaitable; constructing one is a plain call
    code = getattr(target, "__code__", None)
    if code in _BY_CODE:
        return _BY_CODE[code]
    for candidate in (target, getattr(target, "__call__", None)):  # noqa: B004 - the method is inspected, not called
        if inspect.isasyncgenfunction(candidate):
            return Kind.ASYNC_GENERATOR
        if inspect.iscoroutinefunction(candidate):
            return Kind.COROUTINE
        if inspect.isgeneratorfunction(candidate):
            if _flags_of(candidate) & inspect.CO_ITERABLE_COROUTINE:
                raise TypeError(f"{name_of(function)} is a coroutine made of a generator: make it a coroutine function")
            return Kind.GENERATOR
    return Kind.FUNCTION


FLAGS: Final[Mapping[Kind, int]] = {
    Kind.FUNCTION: 0,
    Kind.COROUTINE: inspect.CO_COROUTINE,
    Kind.GENERATOR: inspect.CO_GENERATOR,
    Kind.ASYNC_GENERATOR: inspect.CO_ASYNC_GENERATOR,
}
"""Those of `KIND_FLAGS` that the code of a function of a kind has, unless a decorator has marked it as another."""

KIND_FLAGS: Final = sum(FLAGS.values()) | inspect.CO_ITERABLE_COROUTINE
"""Flags of the code of a function that determine its kind."""


def _hint(given: object) -> str:
    """Return what to write instead of something that is not callable, or nothing."""
    if isinstance(given, property | functools.cached_property):
        return ": guard the function below it"
    if inspect.isawaitable(given):
        return ": give the function and its arguments, not what it returned"
    return ""


def _flags_of(function: object) -> int:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def name_of(function: object) -> str:
    """Return the name of a callable, without its module."""
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    name = getattr(target, "__name__", None)
    return name if isinstance(name, str) else type(target).__name__


def key_of(function: object) -> str:
    """Return the module and qualified name of a callable."""
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    qualname = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{getattr(target, '__module__', '')}.{qualname}"
