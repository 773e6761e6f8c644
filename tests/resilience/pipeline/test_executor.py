"""One call through its parts: every permit is settled, however the call ends."""

from contextlib import ExitStack, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from cqox.resilience import CircuitBreaker, DeadlineExceeded, Policy, Retry, Timeout, deadline
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.pipeline.waiter import ThreadWaiter
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down, Run


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


@pytest.mark.parametrize("further", [list, lambda: [CircuitBreaker("engine")], lambda: [Retry(2, idempotent=True)]])
def test_a_call_whose_deadline_passes_in_a_queue_is_not_made_and_keeps_nothing(run: Run, further) -> None:
    async def main() -> None:
        clock, bulkhead, made = FakeClock(), Bulkhead(1, 1), list[str]()
        policy = Policy("queued", bulkhead, *(inside := further()))

        async def hold() -> None:
            await anyio.sleep(1.0)
            clock.advance(10.0)

        async def call() -> None:
            made.append("made")

        async with anyio.create_task_group() as group:
            group.start_soon(policy(hold))
            await anyio.sleep(0.5)
            for way in (policy(call), lambda: policy.call(call)):
                with pytest.raises(DeadlineExceeded) as expired, deadline(5.0, clock=clock):
                    await way()
                assert expired.value.before_call
                assert made == []
                assert bulkhead.snapshot().running == 0
                group.start_soon(policy(hold))
                await anyio.sleep(0.5)
        breakers = [part.snapshot() for part in inside if isinstance(part, CircuitBreaker)]
        assert all((each.failure, each.calls - each.ignored - each.success) == (0, 0) for each in breakers)

    run(main)


@pytest.mark.parametrize("further", [list, lambda: [CircuitBreaker("engine")], lambda: [Retry(2, idempotent=True)]])
def test_a_plain_call_whose_deadline_passes_in_a_queue_is_not_made_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, further
) -> None:
    clock, bulkhead, made, running = FakeClock(), Bulkhead(1, 1), list[str](), ExitStack()
    policy = Policy("queued", bulkhead, *(inside := further()))

    def end_the_other_call_late(waiter: ThreadWaiter, seconds: float) -> bool:
        clock.advance(10.0)
        running.close()
        assert waiter.granted
        return True

    def call() -> None:
        made.append("made")

    monkeypatch.setattr(ThreadWaiter, "wait", end_the_other_call_late)
    for way in (policy(call), lambda: policy.call(call)):
        running.enter_context(Policy("other", bulkhead))
        with pytest.raises(DeadlineExceeded) as expired, deadline(5.0, clock=clock):
            way()
        assert expired.value.before_call
        assert made == []
        assert bulkhead.snapshot().running == 0
    breakers = [part.snapshot() for part in inside if isinstance(part, CircuitBreaker)]
    assert all((each.failure, each.calls - each.ignored) == (0, 0) for each in breakers)
