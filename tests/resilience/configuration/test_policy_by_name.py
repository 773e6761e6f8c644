"""Functions that name their policy before there is one: every kind, refused calls, and identity."""

import gc
import inspect
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from cqox.resilience import CircuitBreaker, CircuitOpen, Hedge, Policy, PolicyNotLoaded, Registry, Retry
from tests.resilience.conftest import Run


@pytest.fixture
def policies() -> Registry:
    return Registry()


@pytest.mark.parametrize("name", ["", 5, Policy])
def test_a_name_is_a_string_that_is_not_empty(policies: Registry, name: str) -> None:
    with pytest.raises(ValueError, match="name must be a non-empty string"):
        policies.policy(name)


def test_a_call_before_there_is_a_policy_executes_nothing(policies: Registry) -> None:
    calls: list[int] = []

    @policies.policy("engine")
    def call(number: int) -> int:
        """Call the engine."""
        calls.append(number)
        return number

    similar = Policy("engines", CircuitBreaker("similar circuit"))
    policies.add("engines", similar)
    with pytest.raises(PolicyNotLoaded, match=r"no policy is called 'engine': .* did you mean 'engines'\?"):
        call(1)
    with pytest.raises(PolicyNotLoaded):
        policies.policy("engine").call(call, 1)
    assert (calls, policies.missing()) == ([], ["engine"])
    policy = Policy("engine", CircuitBreaker("engine circuit"))
    policies.add("engine", policy)
    assert policies.missing() == []
    assert call(2) == 2
    assert policies.policy("engine").call(call, 3) == 3
    assert calls == [2, 3]
    assert policy.part(CircuitBreaker).snapshot().success == 3  # the last call went through it twice
    assert vars(call)["breaker"] is policy.part(CircuitBreaker)
    assert (call.__name__, call.__doc__) == ("call", "Call the engine.")
    assert [*inspect.signature(call).parameters] == ["number"]


def test_a_policy_that_exists_guards_at_once(policies: Registry) -> None:
    policy = Policy("engine", CircuitBreaker("engine circuit"))
    policies.add("engine", policy)
    function = policies.policy("engine")(lambda: 1)
    assert vars(function)["__cqox_policy__"] is policy
    assert policies.missing() == []


def test_every_kind_of_callable_waits_for_its_policy(policies: Registry, run: Run) -> None:
    engine = policies.policy("engine")
    closed: list[str] = []

    @engine
    async def fetch() -> str:
        return "fetched"

    @engine
    async def stream() -> AsyncGenerator[object, str]:
        try:
            sent = yield "first"
            try:
                yield sent
            except LookupError:
                yield "thrown"
        finally:
            closed.append("stream")

    @engine
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    @engine
    @contextmanager
    def block() -> Iterator[str]:
        yield "block"

    @engine
    @asynccontextmanager
    async def block_async() -> AsyncIterator[str]:
        yield "block async"

    class Client:
        @engine
        async def method(self) -> "Client":
            return self

        @engine
        @staticmethod
        def static() -> str:
            return "static"

    async def main() -> None:
        with pytest.raises(PolicyNotLoaded):
            await fetch()
        with pytest.raises(PolicyNotLoaded):
            await anext(stream())
        policy = Policy("engine", CircuitBreaker("engine circuit"))
        policies.add("engine", policy)
        assert await fetch() == "fetched"
        items = stream()
        assert [await anext(items), await items.asend("sent")] == ["first", "sent"]
        assert await items.athrow(LookupError()) == "thrown"
        with pytest.raises(StopAsyncIteration):
            await anext(items)
        early = stream()
        await anext(early)
        await early.aclose()
        assert closed == ["stream", "stream"]
        assert [*numbers()] == [1, 2]
        with block() as value:
            assert value == "block"
        async with block_async() as value:
            assert value == "block async"
        client = Client()
        assert await client.method() is client
        assert Client.static() == "static"
        assert policy.part(CircuitBreaker).snapshot().success == 7

    assert inspect.iscoroutinefunction(fetch)
    assert inspect.isasyncgenfunction(stream)
    assert inspect.isgeneratorfunction(numbers)
    run(main)


def test_stacked_decorators_see_the_kind_behind(policies: Registry, run: Run) -> None:
    @Retry(2, 0.0, idempotent=True)
    @policies.policy("engine")
    async def fetch() -> str:
        return "fetched"

    policy = Policy("engine", CircuitBreaker("engine circuit"))
    policies.add("engine", policy)
    assert run(fetch) == "fetched"


def test_what_cannot_be_guarded_is_refused_at_once_or_with_the_policy(policies: Registry) -> None:
    with pytest.raises(TypeError, match="is a class"):
        policies.policy("engine")(Registry)
    call = policies.policy("engine")(lambda: 1)
    policy = Policy("engine", Hedge(1.0))
    policies.add("engine", policy)
    with pytest.raises(TypeError, match="a hedge guards awaited calls only"):
        call()


def test_a_function_that_is_gone_waits_no_longer(policies: Registry) -> None:
    call = policies.policy("engine")(lambda: 1)
    gone = weakref.ref(call)
    assert policies.missing() == ["engine"]
    del call
    gc.collect()
    assert gone() is None
    assert policies.missing() == []


def test_a_keyed_function_waits_for_its_policy(policies: Registry, run: Run) -> None:
    @policies.policy("hosts").keyed("host")
    def get(host: str) -> str:
        if host == "down":
            raise ConnectionResetError
        return host

    with pytest.raises(PolicyNotLoaded):
        get("up")
    hosts = Policy("hosts", CircuitBreaker("hosts circuit", 1))
    policies.add("hosts", hosts)
    with pytest.raises(ConnectionResetError):
        get("down")
    with pytest.raises(CircuitOpen):
        get("down")
    assert get("up") == "up"
    assert policies.policy("hosts").for_key("up") is hosts.for_key("up")
    assert policies.policy("hosts").loaded() is hosts


def test_a_block_is_guarded_by_the_policy_of_a_name(policies: Registry, run: Run) -> None:
    named = policies.policy("engine")
    with pytest.raises(PolicyNotLoaded), named:
        pass
    policies.add("engine", policy := Policy("engine", CircuitBreaker("engine circuit", 2)))

    async def main() -> None:
        async with named as entered:
            assert entered is policy
        for _ in range(2):
            with pytest.raises(ConnectionResetError), named:
                raise ConnectionResetError
        with pytest.raises(CircuitOpen):
            async with named:
                pass

    run(main)


def test_a_name_keeps_no_policy_alive_and_is_missing_only_while_it_is_held(policies: Registry) -> None:
    named = policies.policy("engine")
    assert policies.missing() == ["engine"]
    policy = Policy("engine", CircuitBreaker("engine circuit"))
    policies.add("engine", policy)
    assert named.loaded() is policy
    gone = weakref.ref(policy)
    del policy
    gc.collect()
    assert gone() is None
    del named
    assert policies.missing() == []
