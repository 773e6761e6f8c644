"""One call through its parts: every permit is settled, however the call ends."""

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


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
