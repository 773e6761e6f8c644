"""Guarded async generators: retried only before the first item, without open scopes between items."""

import inspect
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout, circuit_breaker, deadline
from cqox.resilience.limits.bulkhead import Bulkhead
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
