"""Context manager factories under guard: their opening is the call, however the factory is reached."""

import functools
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout, exponential_backoff_retry
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


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


def test_a_guarded_context_is_still_a_decorator_that_opens_once_per_call(run) -> None:
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
