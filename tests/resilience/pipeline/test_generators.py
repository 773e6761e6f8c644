"""Guarded generators, awaited and plain: retried only before the first item, without open scopes between items."""

import inspect
import math
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded
from cqox.resilience import CircuitBreaker, Hedge, Policy, Retry, Timeout, circuit_breaker, deadline, remaining
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


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


def test_a_plain_generator_is_called_again_only_before_its_first_item() -> None:
    clock, starts, seen = FakeClock(), 0, list[int]()

    @Policy("stream", Retry(5, 1.0, jitter=False, idempotent=True, clock=clock))
    def items(fail_at: int):
        nonlocal starts
        starts += 1
        if starts < 3:
            raise Down("before")
        for number in range(3):
            if number == fail_at:
                raise Down("after")
            yield number

    assert inspect.isgeneratorfunction(items)
    stream = items(9)
    assert starts == 0  # as before, nothing runs until the first item is wanted
    assert list(stream) == [0, 1, 2]
    assert (starts, clock.sleeps) == (3, [1.0, 2.0])
    with pytest.raises(Down, match="after"):
        seen.extend(items(1))
    assert (seen, starts) == ([0], 4)


def test_a_plain_generator_gives_up_before_its_first_item_with_its_own_error() -> None:
    error = Down("always")

    @Policy("stream", Retry(2, 0.0, idempotent=True, clock=FakeClock()))
    def items():
        raise error
        yield

    with pytest.raises(Down) as caught:
        next(items())
    assert caught.value is error


def test_the_gates_of_a_plain_generator_learn_how_it_ended() -> None:
    clock = FakeClock()
    breaker, slots = CircuitBreaker("stream", failure_threshold=2, clock=clock), Bulkhead(1, clock=clock)

    @Policy("stream", slots, breaker)
    def items(error: BaseException | None = None):
        yield 1
        assert slots.snapshot().running == 1
        if error is not None:
            raise error
        yield 2

    assert list(items()) == [1, 2]
    with pytest.raises(Down):
        list(items(Down()))
    stream = items()
    next(stream)
    stream.close()
    stream = items()
    next(stream)
    with pytest.raises(Down):
        stream.throw(Down("the consumer's own"))
    with pytest.raises(KeyboardInterrupt):
        list(items(KeyboardInterrupt()))
    snapshot = breaker.snapshot()
    assert (snapshot.success, snapshot.failure, snapshot.cancelled) == (1, 1, 3)
    assert slots.snapshot().running == 0
    with pytest.raises(Down):
        list(items(Down()))  # the second failure in a row, as the others were none
    with pytest.raises(CircuitOpen):
        next(items())


def test_a_plain_generator_has_its_timeout_for_each_item_and_none_between() -> None:
    clock, left = FakeClock(), list[float]()

    @Policy("stream", Timeout(2.0, clock=clock))
    def items():
        for number in range(2):
            left.append(remaining())
            yield number

    for _ in items():
        assert remaining() == math.inf
        clock.advance(10)  # far beyond the limit, and none of the callee's business
    assert left == [2.0, 2.0]


def test_a_plain_generator_is_sent_to_thrown_into_and_returns_as_before() -> None:
    closed = list[bool]()

    @circuit_breaker(clock=FakeClock())
    def echo():
        heard: object = None
        try:
            while heard != "stop":
                try:
                    heard = yield heard
                except ValueError as error:
                    heard = f"caught {error}"
        finally:
            closed.append(True)
        return "returned"

    def outer():
        return (yield from echo())

    stream = outer()
    assert next(stream) is None
    assert stream.send("hello") == "hello"
    assert stream.throw(ValueError("this")) == "caught this"
    with pytest.raises(StopIteration) as end:
        stream.send("stop")
    assert end.value.value == "returned"
    stream = echo()
    next(stream)
    stream.close()
    assert closed == [True, True]
    assert echo.breaker.snapshot().success == 1


def test_a_context_manager_made_of_a_guarded_plain_generator_works() -> None:
    breaker = CircuitBreaker("resource", clock=FakeClock())

    @contextmanager
    @breaker
    def resource():
        with suppress(Down):
            yield "it"

    with resource() as value:
        assert value == "it"
        raise Down("of the block, which the resource handles")
    assert breaker.snapshot().success == 1


def test_each_key_of_plain_generators_has_its_own_circuit() -> None:
    policy = Policy("hosts", CircuitBreaker("hosts", failure_threshold=1, clock=FakeClock()))

    @policy.keyed("host")
    def items(host: str):
        yield host
        if host == "down":
            raise Down
        return host

    assert inspect.isgeneratorfunction(items)
    with pytest.raises(Down):
        list(items("down"))
    with pytest.raises(CircuitOpen):
        next(items("down"))
    assert list(items("up")) == ["up"]


def test_parts_that_need_a_value_refuse_plain_generators() -> None:
    def items():
        yield 1

    for part in (Hedge(1.0), deadline(1.0)):
        with pytest.raises(TypeError, match="a generator function cannot be guarded by a hedge, fallback or deadline"):
            part(items)
