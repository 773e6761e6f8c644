"""Decoration of every kind of callable, and rejection of other kinds."""

import functools
import inspect
import types

import anyio
import anyio.lowlevel
import pytest

from cqox.resilience import (
    CircuitBreaker,
    CircuitState,
    Policy,
    Retry,
    Timeout,
    api_timeout,
    circuit_breaker,
    exponential_backoff_retry,
)
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.pipeline.decorate import guarded_by
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down, run_async


def policy() -> Policy:
    """All four kinds of parts together, without pauses."""
    return Policy(
        "all",
        CircuitBreaker("all", failure_threshold=100),
        Retry(3, 0.0, idempotent=True, clock=FakeClock()),
        Bulkhead(5),
        Timeout(5.0),
    )


class Flaky:
    """Fails twice, then answers; of every kind."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, *args: object, **kwargs: object) -> tuple[object, ...]:
        self.calls += 1
        if self.calls < 3:
            raise Down
        return (*args, *kwargs.values())

    async def answer_async(self, *args: object, **kwargs: object) -> tuple[object, ...]:
        await anyio.sleep(0.1)
        return self.answer(*args, **kwargs)

    def __call__(self, *args: object, **kwargs: object) -> tuple[object, ...]:
        return self.answer(*args, **kwargs)


class AwaitedFlaky(Flaky):
    async def __call__(self, *args: object, **kwargs: object) -> tuple[object, ...]:
        return await self.answer_async(*args, **kwargs)


@pytest.mark.parametrize(
    "make",
    [
        lambda flaky: flaky.answer,
        lambda flaky: lambda *args, **kwargs: flaky.answer(*args, **kwargs),
        lambda flaky: functools.partial(flaky.answer),
        lambda flaky: functools.partial(functools.partial(flaky)),
        lambda flaky: flaky,
    ],
    ids=["method", "function", "partial", "partial of a callable object", "callable object"],
)
def test_plain_callables(make) -> None:
    flaky = Flaky()
    guarded = policy()(make(flaky))
    assert not inspect.iscoroutinefunction(guarded)
    assert guarded(1, two=2) == (1, 2)
    assert flaky.calls == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda flaky: flaky.answer_async,
        lambda flaky: functools.partial(flaky.answer_async),
        lambda flaky: flaky,
        lambda flaky: functools.partial(flaky),
    ],
    ids=["method", "partial", "callable object", "partial of a callable object"],
)
def test_awaited_callables(run, make) -> None:
    async def main() -> None:
        flaky = AwaitedFlaky()
        guarded = policy()(make(flaky))
        assert inspect.iscoroutinefunction(guarded)
        assert await guarded(1, two=2) == (1, 2)
        assert flaky.calls == 3

    run(main)


def test_methods_of_every_kind_are_bound_as_before(run) -> None:
    class Client:
        factor = 10

        @circuit_breaker()
        def plain(self, value: int) -> int:
            return value * self.factor

        @circuit_breaker()
        async def awaited(self, value: int) -> int:
            return value * self.factor

        @circuit_breaker()
        @staticmethod
        def static(value: int) -> int:
            return value

        @circuit_breaker()
        @classmethod
        def of_class(cls, value: int) -> int:
            return value * cls.factor

        @staticmethod
        @circuit_breaker()
        def static_outside(value: int) -> int:
            return value

    async def main() -> None:
        client = Client()
        assert (client.plain(1), await client.awaited(2), client.static(3)) == (10, 20, 3)
        assert (Client.static(3), Client.of_class(4), client.of_class(4), client.static_outside(5)) == (3, 40, 40, 5)
        for name in ("plain", "awaited", "static", "of_class", "static_outside"):
            assert isinstance(getattr(Client, name).breaker, CircuitBreaker), name
            assert getattr(Client, name).breaker.name == name

    run(main)


def test_identity_and_signature_survive() -> None:
    async def fetch(url: str, *, tries: int = 3) -> bytes:
        """Get it."""
        return b""

    fetch.mine = "attribute"
    guarded = circuit_breaker()(exponential_backoff_retry()(api_timeout()(fetch)))
    assert (guarded.__name__, guarded.__qualname__, guarded.__doc__) == ("fetch", fetch.__qualname__, "Get it.")
    assert inspect.signature(guarded) == inspect.signature(fetch)
    assert guarded.mine == "attribute"
    assert inspect.unwrap(guarded) is fetch


def test_what_is_wrapped_is_what_was_decorated_also_where_that_is_a_wrapper() -> None:
    @functools.wraps(len)
    def length(thing: str) -> int:
        return len(thing)

    guarded = exponential_backoff_retry()(length)
    assert guarded.__wrapped__ is length
    assert inspect.unwrap(guarded) is len


def test_stacked_decorators_are_one_frame_and_expose_their_breaker() -> None:
    def call() -> str:
        return "up"

    stacked = exponential_backoff_retry()(circuit_breaker()(api_timeout()(call)))
    record = guarded_by(stacked)
    assert record.function is call
    assert [part.kind for part in record.parts] == ["Retry", "CircuitBreaker", "Timeout"]
    assert stacked.breaker.name == "call"
    assert stacked() == "up"


def test_another_decorator_in_between_is_kept() -> None:
    seen = []

    def log(function):
        @functools.wraps(function)
        def logged(*args):
            seen.append(args)
            return function(*args)

        return logged

    @circuit_breaker()
    @log
    @exponential_backoff_retry()
    def call(value: int) -> int:
        return value

    assert call(5) == 5
    assert seen == [(5,)]
    assert [part.kind for part in guarded_by(call).parts] == ["CircuitBreaker"]


def test_two_functions_of_one_name_never_share_state() -> None:
    def make():
        @circuit_breaker(failure_threshold=1)
        def call() -> None:
            raise Down

        return call

    one, other = make(), make()
    assert one.breaker is not other.breaker
    with pytest.raises(Down):
        one()
    assert (one.breaker.state, other.breaker.state) == (CircuitState.OPEN, CircuitState.CLOSED)
    decorate = circuit_breaker(failure_threshold=1)
    assert decorate(Flaky().answer).breaker is not decorate(Flaky().answer).breaker


@types.coroutine
def generator():
    yield 1


class Class:
    pass


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (5, "only callables"),
        (None, "only callables"),
        (Class, "is a class"),
        (generator, "made of a generator"),
        (functools.partial(generator), "made of a generator"),
    ],
)
@pytest.mark.parametrize(
    "decorate", [circuit_breaker(), exponential_backoff_retry(), api_timeout(), Policy("p", Timeout(1.0))]
)
def test_what_cannot_be_guarded_is_refused_when_it_is_decorated(decorate, thing: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        decorate(thing)


def test_a_plain_function_that_returns_a_coroutine_is_rejected_when_called() -> None:
    async def fetch() -> None: ...

    for guard in (circuit_breaker(), exponential_backoff_retry(), api_timeout()):
        with pytest.raises(TypeError, match="returned a coroutine"):
            guard(lambda: fetch())()


def test_a_partial_of_a_class_is_a_plain_call() -> None:
    class Client:
        async def __call__(self) -> None:
            raise AssertionError("it is made, and not called")

    assert isinstance(exponential_backoff_retry()(functools.partial(Client))(), Client)


def test_one_decorated_function_serves_both_loops_and_plain_callers() -> None:
    @Policy("both", CircuitBreaker("both"), Retry(2, 0.0, idempotent=True), Timeout(5.0))
    async def call() -> str:
        await anyio.lowlevel.checkpoint()
        return "up"

    import asyncio

    import trio

    assert asyncio.run(call()) == trio.run(call) == "up"
    assert run_async("asyncio", call) == "up"
