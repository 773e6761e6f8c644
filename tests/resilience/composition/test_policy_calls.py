"""`Policy.call`, whose calls of all functions of a kind share what is bound to the parts."""

import asyncio
import functools
import gc
import inspect
import types
import weakref
from collections.abc import Awaitable

import pytest

from cqox.resilience import CircuitBreaker, Policy, Retry
from tests.resilience.conftest import Down, Run


def policy() -> Policy:
    return Policy("calls", CircuitBreaker("engine", 3), Retry(2, 0.0, idempotent=True))


def test_functions_of_one_kind_keep_their_own_arguments_results_and_attempts(run: Run) -> None:
    async def main() -> None:
        guarded, made = policy(), list[str]()

        async def one(word: str, *, end: str = "") -> str:
            made.append("one")
            if made.count("one") == 1:
                raise Down
            return word + end

        async def two() -> int:
            made.append("two")
            return 2

        assert await guarded.call(one, "up", end="!") == "up!"
        assert await guarded.call(two) == 2
        assert guarded.call(len, "four") == 4
        assert guarded.call(str.upper, "up") == "UP"
        assert made == ["one", "one", "two"]

    run(main)


def test_a_function_that_returns_an_awaitable_says_nothing_about_others() -> None:
    async def main() -> None:
        guarded = policy()

        def future() -> Awaitable[int]:
            found = asyncio.get_running_loop().create_future()
            found.set_result(1)
            return found

        def plain() -> int:
            return 2

        for _ in range(3):
            assert await guarded.call(future) == 1
            assert guarded.call(plain) == 2
            assert await guarded.call(functools.partial(future)) == 1
        breaker = guarded.part(CircuitBreaker)
        assert breaker.snapshot().success == 9

    asyncio.run(main())


def test_what_is_guarded_already_and_what_is_marked_keep_their_kind(run: Run) -> None:
    async def main() -> None:
        guarded, inner = policy(), CircuitBreaker("inner")

        @inner
        async def call() -> int:
            return 1

        @functools.wraps(call)
        async def wrapper() -> int:
            return await call() + 1

        @inspect.markcoroutinefunction
        def marked() -> Awaitable[int]:
            return call()

        assert guarded.call(len, "four") == 4
        assert await guarded.call(marked) == 1
        assert await guarded.call(call) == 1
        assert await guarded.call(wrapper) == 2
        assert inner.snapshot().success == 3

    run(main)


def test_a_coroutine_made_of_a_generator_is_refused_each_time() -> None:
    @types.coroutine
    def old():  # type: ignore[no-untyped-def]
        yield

    for _ in range(2):
        with pytest.raises(TypeError, match="coroutine made of a generator"):
            policy().call(old)


def test_a_function_that_was_called_is_not_kept() -> None:
    guarded = policy()

    def make() -> weakref.ref[object]:
        def call() -> int:
            return 1

        assert guarded.call(call) == 1
        return weakref.ref(call)

    reference = make()
    gc.collect()
    assert reference() is None
