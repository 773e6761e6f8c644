"""Every kind of callable that can be guarded, settled when it is decorated; and those that cannot."""

import functools
import inspect
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen, DeadlineExceeded
from cqox.resilience import (
    CircuitBreaker,
    CircuitState,
    Policy,
    Retry,
    Timeout,
    api_timeout,
    circuit_breaker,
    deadline,
    exponential_backoff_retry,
)
from cqox.resilience._guard import guarded_by
from cqox.resilience.bulkhead import Bulkhead
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import run_async


class Down(Exception):
    pass


def policy() -> Policy:
    """All four kinds of frame pieces at once, with no pauses."""
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
        (generator, "generator function"),
        (functools.partial(generator), "generator function"),
    ],
)
@pytest.mark.parametrize(
    "decorate", [circuit_breaker(), exponential_backoff_retry(), api_timeout(), Policy("p", Timeout(1.0))]
)
def test_what_cannot_be_guarded_is_refused_when_it_is_decorated(decorate, thing: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        decorate(thing)


def test_a_plain_function_that_returns_a_coroutine_is_told_apart_when_it_is_called() -> None:
    async def fetch() -> None: ...

    for guard in (circuit_breaker(), exponential_backoff_retry(), api_timeout()):
        with pytest.raises(TypeError, match="returned a coroutine"):
            guard(lambda: fetch())()


def test_a_generator_is_called_again_only_before_its_first_item(run) -> None:
    async def main() -> None:
        starts = 0

        @Policy("stream", Retry(5, 0.0, idempotent=True))
        async def items(fail_at: int):
            nonlocal starts
            starts += 1
            if starts < 3:
                raise Down("before")
            for number in range(3):
                if number == fail_at:
                    raise Down("after")
                yield number

        assert inspect.isasyncgenfunction(items)
        assert [item async for item in items(9)] == [0, 1, 2]
        assert starts == 3
        seen = []

        async def collect() -> None:
            async for item in items(1):
                seen.append(item)

        with pytest.raises(Down, match="after"):
            await collect()
        assert (seen, starts) == ([0], 4)

    run(main)


def test_the_gates_of_a_generator_learn_how_it_ended(run) -> None:
    async def main() -> None:
        breaker, slots = CircuitBreaker("stream", failure_threshold=100), Bulkhead(1)

        @Policy("stream", slots, breaker)
        async def items(error: BaseException | None = None):
            yield 1
            assert slots.snapshot().running == 1
            if error is not None:
                raise error
            yield 2

        assert [item async for item in items()] == [1, 2]
        with pytest.raises(Down):
            [item async for item in items(Down())]
        stream = items()
        await anext(stream)
        await stream.aclose()
        stream = items()
        await anext(stream)
        with pytest.raises(Down):
            await stream.athrow(Down("the consumer's own"))
        snapshot = breaker.snapshot()
        assert (snapshot.success, snapshot.failure, snapshot.cancelled) == (1, 1, 2)
        assert slots.snapshot().running == 0

    run(main)


def test_no_scope_is_open_while_the_consumer_has_the_turn(run) -> None:
    async def main() -> None:
        @Policy("stream", Timeout(2.0))
        async def items(pause: float):
            for number in range(3):
                await anyio.sleep(pause)
                yield number

        seen = []
        async for item in items(1.5):
            seen.append(item)
            await anyio.sleep(10)  # far beyond the limit, and none of the callee's business
        assert seen == [0, 1, 2]
        with pytest.raises(AttemptTimeout):
            [item async for item in items(2.5)]

    run(main)


def test_a_generator_is_sent_to_thrown_into_and_closed_as_before(run) -> None:
    async def main() -> None:
        closed = []

        @circuit_breaker()
        async def echo():
            heard = None
            try:
                while True:
                    try:
                        heard = yield heard
                    except ValueError as error:
                        heard = f"caught {error}"
            finally:
                closed.append(True)

        stream = echo()
        assert await anext(stream) is None
        assert await stream.asend("hello") == "hello"
        assert await stream.athrow(ValueError("this")) == "caught this"
        await stream.aclose()
        assert closed == [True]

    run(main)


def test_a_context_manager_made_of_a_guarded_generator_works(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("resource", failure_threshold=100)

        @asynccontextmanager
        @breaker
        async def resource():
            with suppress(Down):
                yield "it"

        async with resource() as value:
            assert value == "it"
            raise Down("of the block, which the resource handles")
        assert breaker.snapshot().success == 1

    run(main)


def test_opening_a_context_is_what_is_guarded(run) -> None:
    async def main() -> None:
        opens, open_now = 0, 0
        slots = Bulkhead(1)
        breaker = CircuitBreaker("connect", failure_threshold=100)

        @Policy("connect", slots, breaker, Retry(3, 0.0, idempotent=True), Timeout(2.0))
        @asynccontextmanager
        async def connect(fail: bool = True):
            nonlocal opens, open_now
            opens += 1
            if fail and opens < 3:
                raise Down
            open_now += 1
            try:
                yield "connection"
            finally:
                open_now -= 1

        async with connect() as connection:
            assert (connection, opens, open_now) == ("connection", 3, 1)
            assert breaker.snapshot().success == 1
            assert slots.snapshot().running == 1
            await anyio.sleep(100)  # the block takes as long as it likes
        assert (open_now, slots.snapshot().running) == (0, 0)
        with pytest.raises(ValueError, match="of the block"):
            async with connect(fail=False):
                raise ValueError("of the block")
        assert (breaker.snapshot().success, breaker.snapshot().failure) == (2, 0)
        assert (open_now, slots.snapshot().running) == (0, 0)

    run(main)


def test_opening_a_plain_context_is_guarded_too() -> None:
    breaker = CircuitBreaker("file", failure_threshold=1, clock=FakeClock())

    @breaker
    @contextmanager
    def opened(fail: bool):
        if fail:
            raise Down
        with suppress(ValueError):
            yield "file"

    with opened(False) as file:
        assert file == "file"
        raise ValueError("which the context handles")
    with pytest.raises(Down), opened(True):
        pass
    with pytest.raises(CircuitOpen), opened(False):
        pass
    assert (breaker.snapshot().success, breaker.snapshot().failure, breaker.snapshot().rejected) == (1, 1, 1)


def test_contexts_and_generators_of_guarded_ones_are_guarded_again(run) -> None:
    async def main() -> None:
        inner, outer = CircuitBreaker("inner"), CircuitBreaker("outer")

        @Policy("outer", outer)
        @inner
        @asynccontextmanager
        async def connect():
            yield 1

        @Policy("outer", outer)
        @inner
        async def items():
            yield 1

        async with connect() as value:
            assert value == 1
        assert [item async for item in items()] == [1]
        assert (inner.snapshot().success, outer.snapshot().success) == (2, 2)

    run(main)


@pytest.mark.parametrize("reached", ["as a method", "as a partial"])
def test_a_guarded_context_is_one_to_a_policy_however_it_is_reached(run, reached: str) -> None:
    class Server:
        @exponential_backoff_retry(1)
        @asynccontextmanager
        async def connect(self):
            raise Down
            yield

        @exponential_backoff_retry(1)
        @contextmanager
        def connect_plain(self):
            raise Down
            yield

    async def main() -> None:
        breaker, server = CircuitBreaker("server"), Server()
        policy = Policy("server", breaker)
        factory = server.connect if reached == "as a method" else functools.partial(Server.connect, server)
        plain = server.connect_plain if reached == "as a method" else functools.partial(Server.connect_plain, server)
        with pytest.raises(Down):
            async with policy.call(factory):
                pytest.fail("opened")
        with pytest.raises(Down):
            async with policy(factory)():
                pytest.fail("opened")
        with pytest.raises(Down), policy.call(plain):
            pytest.fail("opened")
        assert (breaker.snapshot().failure, breaker.snapshot().success) == (3, 0)

    run(main)


def test_a_guarded_context_is_still_a_decorator_that_opens_anew_for_each_call(run) -> None:
    async def main() -> None:
        breaker, opens = CircuitBreaker("decorates"), 0

        @breaker
        @asynccontextmanager
        async def session():
            nonlocal opens
            opens += 1
            yield opens

        @breaker
        @contextmanager
        def session_plain():
            nonlocal opens
            opens += 1
            yield opens

        @session()
        async def again(depth: int) -> int:
            return await again(depth - 1) if depth else opens

        @session_plain()
        def again_plain(depth: int) -> int:
            return again_plain(depth - 1) if depth else opens

        assert [await again(1), again_plain(1)] == [2, 4]
        assert breaker.snapshot().success == 4

    run(main)


def test_a_partial_of_a_class_is_a_plain_call_whatever_its_objects_are() -> None:
    class Client:
        async def __call__(self) -> None:
            raise AssertionError("it is made, and not called")

    assert isinstance(exponential_backoff_retry()(functools.partial(Client))(), Client)


def test_blocks_of_generators_may_end_in_any_order(run) -> None:
    async def main() -> None:
        first, second = Bulkhead(1), Bulkhead(1)

        async def items(slots: Bulkhead):
            async with slots:
                yield 1

        one, other = items(first), items(second)
        await anext(one)
        await anext(other)
        await one.aclose()
        assert (first.snapshot().running, second.snapshot().running) == (0, 1)
        with pytest.raises(BulkheadFull):
            second.__enter__()
        await other.aclose()
        assert second.snapshot().running == 0
        with pytest.raises(RuntimeError, match="left in another task than it was entered"):
            await first.__aexit__(None, None, None)

    run(main)


def test_a_generator_that_waits_for_its_next_attempt_has_not_been_called_again(run) -> None:
    async def main() -> None:
        slots, breaker = Bulkhead(1, 1), CircuitBreaker("items", failure_threshold=100)

        @Policy("items", Retry(2, 0.0, idempotent=True), breaker, slots)
        async def items():
            hold.start_soon(keep_the_slot)
            await anyio.sleep(5)
            raise Down
            yield

        async def keep_the_slot() -> None:
            async with slots:
                await anyio.sleep_forever()

        async with anyio.create_task_group() as hold:
            with pytest.raises(DeadlineExceeded), deadline(10.0):
                await anext(items())
            hold.cancel_scope.cancel()
        assert (breaker.snapshot().failure, breaker.snapshot().cancelled) == (1, 1)

    run(main)


def test_a_cancelled_call_of_every_kind_holds_nothing(run) -> None:
    async def main() -> None:
        slots = Bulkhead(1)
        guard = Policy("slots", slots, Timeout(1000.0))

        @guard
        async def items():
            await anyio.sleep_forever()
            yield

        @guard
        @asynccontextmanager
        async def context():
            await anyio.sleep_forever()
            yield

        async def iterate() -> None:
            async for _ in items():
                pass

        async def enter() -> None:
            async with context():
                pass

        for call in (guard(anyio.sleep_forever), iterate, enter):
            with anyio.move_on_after(1.0) as scope:
                await call()
            assert scope.cancelled_caught
            assert slots.snapshot().running == 0

    run(main)


def test_a_permit_that_fails_to_be_settled_leaves_no_other_behind() -> None:
    slots = Bulkhead(1)

    def broken(value: object) -> bool:
        raise ZeroDivisionError

    breaker = CircuitBreaker("engine", failure_if=broken, clock=FakeClock())
    with pytest.raises(ZeroDivisionError):
        Policy("p", slots, breaker, Retry(1))(lambda: "up")()
    assert slots.snapshot().running == 0


def test_a_permit_that_cannot_judge_a_failure_leaves_no_other_behind() -> None:
    slots, outer = Bulkhead(1), CircuitBreaker("outer", clock=FakeClock())

    def broken(error: Exception) -> bool:
        raise ZeroDivisionError

    def fail() -> None:
        raise Down

    breaker = CircuitBreaker("engine", failures=broken, clock=FakeClock())
    with pytest.raises(ZeroDivisionError):
        Policy("p", slots, outer, breaker, Retry(1))(fail)()
    assert slots.snapshot().running == 0
    assert outer.snapshot().calls == 1


def test_one_decorated_function_serves_both_loops_and_plain_callers() -> None:
    @Policy("both", CircuitBreaker("both"), Retry(2, 0.0, idempotent=True), Timeout(5.0))
    async def call() -> str:
        await anyio.lowlevel.checkpoint()
        return "up"

    import asyncio

    import trio

    assert asyncio.run(call()) == trio.run(call) == "up"
    assert run_async("asyncio", call) == "up"
