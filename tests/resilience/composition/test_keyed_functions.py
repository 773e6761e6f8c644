"""Functions whose calls have keys: by the name of a parameter or by a function, of every kind of callable."""

import contextlib
import functools
import inspect

import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, Policy, Timeout, circuit_breaker
from cqox.resilience.composition.keyed_functions import key_function
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


def hosts() -> Policy:
    return Policy("hosts", CircuitBreaker("hosts", failure_threshold=1, clock=FakeClock()))


def states(policy: Policy) -> dict[object, str]:
    return {key: each.part(CircuitBreaker).state.value for key, each in policy.keys().items()}


def test_the_argument_of_a_parameter_is_the_key_however_it_is_passed() -> None:
    def function(one: int, host: str = "default", /, other: str = "too", *rest: int, last: str = "end") -> None: ...

    host = key_function("host", function)
    assert [host(1), host(1, "x"), host(1, "x", "y", 2, last="z")] == ["default", "x", "x"]
    other = key_function("other", function)
    assert [other(1), other(1, "x", "y"), other(1, other="y")] == ["too", "y", "y"]
    last = key_function("last", function)
    assert [last(1), last(1, last="y"), last(1, "x", "y", 5)] == ["end", "y", "end"]


@pytest.mark.parametrize("name", ["nothing", "rest", "named"])
def test_a_parameter_that_is_not_there_is_refused_on_decoration(name: str) -> None:
    with pytest.raises(TypeError, match=f"get has no parameter '{name}' to take the key from"):

        @hosts().keyed(name)
        def get(host: str, *rest: int, **named: int) -> None: ...


def test_a_key_that_would_have_to_be_awaited_is_refused() -> None:
    async def key_of(host: str) -> str:
        return host

    for wrong in (key_of, 5):
        with pytest.raises(TypeError, match="a plain function or the name of a parameter"):
            hosts().keyed(wrong)(lambda host: None)


def test_each_key_has_its_own_circuit_in_plain_code() -> None:
    policy = hosts()

    @policy.keyed(lambda url: url.partition("/")[0])
    def get(url: str) -> str:
        if url.startswith("down"):
            raise Down
        return url

    assert get("up/1") == "up/1"
    with pytest.raises(Down):
        get("down/1")
    with pytest.raises(CircuitOpen):
        get("down/2")
    assert get(url="up/2") == "up/2"
    assert states(policy) == {"up": "closed", "down": "open"}
    assert get.__name__ == "get"
    assert list(inspect.signature(get).parameters) == ["url"]


def test_coroutines_streams_and_contexts_have_keys_too(run) -> None:
    async def main() -> None:
        policy = Policy("hosts", CircuitBreaker("hosts", failure_threshold=1), Timeout(5.0))

        @policy.keyed("host")
        async def get(host: str) -> str:
            await anyio.sleep(1)
            return host

        @policy.keyed("host")
        async def echo(host: str):
            heard: object = host
            while heard != "stop":
                try:
                    heard = yield heard
                except ValueError as error:
                    heard = str(error)
            if host == "down":
                raise Down

        @policy.keyed("host")
        @contextlib.asynccontextmanager
        async def connect(host: str):
            yield host

        assert inspect.iscoroutinefunction(get)
        assert await get("a") == "a"
        assert inspect.isasyncgenfunction(echo)
        stream = echo("down")
        assert await anext(stream) == "down"
        assert await stream.asend("hello") == "hello"
        assert await stream.athrow(ValueError("thrown")) == "thrown"
        with pytest.raises(Down):
            await stream.asend("stop")
        with pytest.raises(CircuitOpen):
            await anext(echo("down"))
        async with connect("c") as connection:
            assert connection == "c"
        assert states(policy) == {"a": "closed", "down": "open", "c": "closed"}
        assert policy.for_key("a").part(CircuitBreaker).snapshot().success == 1

    run(main)


def test_methods_of_every_kind_have_keys() -> None:
    policy = hosts()

    class Client:
        @policy.keyed("host")
        def get(self, host: str) -> str:
            return host

        @policy.keyed("host")
        @staticmethod
        def plain(host: str) -> str:
            return host

        @policy.keyed(lambda cls, host: (cls.__name__, host))
        @classmethod
        def of_class(cls, host: str) -> str:
            return host

    assert (Client().get("a"), Client.plain("b"), Client.of_class("c")) == ("a", "b", "c")
    assert list(policy.keys()) == ["a", "b", ("Client", "c")]


def test_a_function_that_returns_an_awaitable_is_awaited_from_its_first_call(run) -> None:
    class Answer:
        def __await__(self):
            return (yield from anyio.sleep(1).__await__())

    async def main() -> None:
        policy = Policy("hosts", CircuitBreaker("hosts"), Timeout(5.0))

        @policy.keyed("host")
        def get(host: str) -> Answer:
            return Answer()

        for _ in range(2):
            await get("a")
        assert policy.for_key("a").part(CircuitBreaker).snapshot().success == 2

    run(main)


def test_other_decorators_see_what_kind_of_function_it_is(run) -> None:
    async def main() -> None:
        policy = Policy("hosts", CircuitBreaker("hosts"))

        @circuit_breaker()
        @policy.keyed("host")
        async def get(host: str) -> str:
            return host

        assert await get("a") == "a"
        assert await functools.partial(get, "b")() == "b"
        assert get.breaker.snapshot().success == 2
        assert list(policy.keys()) == ["a", "b"]

    run(main)


def test_a_cancelled_call_of_a_key_is_no_verdict(run) -> None:
    async def main() -> None:
        policy = Policy("hosts", CircuitBreaker("hosts", failure_threshold=1))

        @policy.keyed("host")
        async def get(host: str) -> None:
            await anyio.sleep_forever()

        with anyio.move_on_after(1) as scope:
            await get("a")
        assert scope.cancelled_caught
        snapshot = policy.for_key("a").part(CircuitBreaker).snapshot()
        assert (snapshot.cancelled, snapshot.calls, snapshot.state) == (1, 1, "closed")

    run(main)
