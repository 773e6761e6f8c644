"""Blocks under guard: `with` and `async with`, nested, interleaved and left in any order."""

import pytest

from cqox.errors import BulkheadFull, CircuitOpen
from cqox.resilience import CircuitBreaker, CircuitState
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


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
