"""Kinds and names of callables."""

import types
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, partial, wraps

import pytest

from cqox.resilience.runtime.callable_kinds import Kind, key_of, kind_of, name_of


def function(value: object = None) -> object:
    return value


async def coroutine() -> None: ...


async def items() -> AsyncGenerator[int]:
    yield 1


def plain_items() -> Generator[int]:
    yield 1


@types.coroutine
def old_coroutine() -> Generator[None]:
    yield


@contextmanager
def context() -> Generator[None]:
    yield


@asynccontextmanager
async def async_context() -> AsyncGenerator[None]:
    yield


class Callee:
    """An object that is called, and methods of two kinds."""

    def __call__(self) -> None: ...

    def method(self) -> None: ...

    async def async_method(self) -> None: ...


class AsyncCallee:
    async def __call__(self) -> None: ...


class Awaited:
    def __await__(self) -> Generator[None]:
        yield


@pytest.mark.parametrize(
    ("callee", "kind"),
    [
        (function, Kind.FUNCTION),
        (len, Kind.FUNCTION),
        (lambda: None, Kind.FUNCTION),
        (Callee(), Kind.FUNCTION),
        (Callee().method, Kind.FUNCTION),
        (partial(Callee), Kind.FUNCTION),
        (coroutine, Kind.COROUTINE),
        (AsyncCallee(), Kind.COROUTINE),
        (Callee().async_method, Kind.COROUTINE),
        (partial(partial(coroutine)), Kind.COROUTINE),
        (plain_items, Kind.GENERATOR),
        (partial(plain_items), Kind.GENERATOR),
        (items, Kind.ASYNC_GENERATOR),
        (partial(items), Kind.ASYNC_GENERATOR),
        (context, Kind.CONTEXT),
        (partial(context), Kind.CONTEXT),
        (async_context, Kind.ASYNC_CONTEXT),
        (wraps(coroutine)(lambda: None), Kind.FUNCTION),
    ],
)
def test_a_callable_is_of_the_kind_that_its_call_is(callee, kind: Kind) -> None:
    assert kind_of(callee) is kind


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (5, "only callables can be guarded, not 5$"),
        (property(len), "only callables can be guarded, not <property .*>: guard the function below it"),
        (cached_property(len), "guard the function below it"),
        (Awaited(), "give the function and its arguments, not what it returned"),
        (Callee, "is a class"),
        (partial(Awaited), "Awaited is a class whose objects are awaited"),
        (old_coroutine, "old_coroutine is a coroutine made of a generator: make it a coroutine function"),
    ],
)
def test_what_cannot_be_guarded_is_refused(thing, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        kind_of(thing)


def test_the_kinds_that_are_awaited_are_those_of_async_code() -> None:
    assert {kind for kind in Kind if not kind.asynchronous} == {Kind.FUNCTION, Kind.GENERATOR, Kind.CONTEXT}


@pytest.mark.parametrize(
    ("callee", "name", "key"),
    [
        (function, "function", f"{__name__}.function"),
        (partial(partial(function), 1), "function", f"{__name__}.function"),
        (Callee().method, "method", f"{__name__}.Callee.method"),
        (Callee(), "Callee", f"{__name__}.Callee"),
        (Callee, "Callee", f"{__name__}.Callee"),
        (len, "len", "builtins.len"),
    ],
)
def test_a_callable_has_a_short_name_and_a_key_with_its_module(callee, name: str, key: str) -> None:
    assert (name_of(callee), key_of(callee)) == (name, key)
