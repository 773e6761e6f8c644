"""Blocks under guard: `with` and `async with`, nested, interleaved and left in any order."""

from contextlib import ExitStack

import anyio
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, DeadlineExceeded
from cqox.resilience import CircuitBreaker, CircuitState, Policy, deadline
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.pipeline.waiter import ThreadWaiter
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down, Run


def test_a_block_is_guarded_as_a_function_is(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=2)
        for _ in range(2):
            with pytest.raises(Down):
                async with breaker:
                    raise Down
        with pytest.raises(CircuitOpen):
            async with breaker:
                pytest.fail("the block must not run")
        assert breaker.snapshot().calls == 3

    run(main)


def test_plain_blocks_nest_and_interleave() -> None:
    clock = FakeClock()
    outer, inner = CircuitBreaker("outer", clock=clock), CircuitBreaker("inner", clock=clock)
    with outer, inner, outer:
        pass
    with pytest.raises(Down), outer:
        with inner:
            raise Down
    assert (outer.snapshot().success, outer.snapshot().failure) == (2, 1)
    assert (inner.snapshot().success, inner.snapshot().failure) == (1, 1)


def test_a_block_says_nothing_about_returned_values() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, failure_if=lambda value: True, clock=FakeClock())
    with breaker:
        pass
    assert breaker.state is CircuitState.CLOSED


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
        with pytest.raises(RuntimeError, match="left in another task than the one that entered it"):
            await first.__aexit__(None, None, None)

    run(main)


def test_a_block_whose_deadline_passes_in_a_queue_is_not_run_and_keeps_nothing(run: Run) -> None:
    async def main() -> None:
        clock, bulkhead, breaker = FakeClock(), Bulkhead(1, 1), CircuitBreaker("engine", 1)

        async def run_late() -> None:
            async with bulkhead:
                await anyio.sleep(1.0)
                clock.advance(10.0)

        for queued in (bulkhead, Policy("queued", breaker, bulkhead)):
            ran = False
            async with anyio.create_task_group() as group:
                group.start_soon(run_late)
                await anyio.sleep(0.5)
                with pytest.raises(DeadlineExceeded) as expired, deadline(5.0, clock=clock):
                    async with queued:
                        ran = True
            assert expired.value.before_call
            assert not ran
            assert bulkhead.snapshot().running == 0
        assert (breaker.state, breaker.snapshot().ignored) == (CircuitState.CLOSED, 1)

    run(main)


def test_a_plain_block_whose_deadline_passes_in_a_queue_is_not_run_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, bulkhead, breaker, running = FakeClock(), Bulkhead(1, 1), CircuitBreaker("engine", 1), ExitStack()

    def end_the_other_block_late(waiter: ThreadWaiter, seconds: float) -> bool:
        clock.advance(10.0)
        running.close()
        return waiter.granted

    monkeypatch.setattr(ThreadWaiter, "wait", end_the_other_block_late)
    for queued in (bulkhead, Policy("queued", breaker, bulkhead)):
        ran = False
        running.enter_context(Policy("other", bulkhead))
        with pytest.raises(DeadlineExceeded) as expired, deadline(5.0, clock=clock), queued:
            ran = True
        assert expired.value.before_call
        assert not ran
        assert bulkhead.snapshot().running == 0
    assert (breaker.state, breaker.snapshot().ignored) == (CircuitState.CLOSED, 1)
