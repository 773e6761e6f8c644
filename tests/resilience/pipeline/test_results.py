"""Results that a retry does not accept: which gate sees what, and what the caller gets."""

import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience import (
    AttemptFailed,
    Bulkhead,
    CircuitBreaker,
    Policy,
    Retry,
    Timeout,
    UnwantedResult,
    exponential_backoff_retry,
)
from cqox.resilience.testing import FakeClock, Script, Slow, capture_events
from tests.resilience.conftest import Down, World, outcome


def is_none(result: object) -> bool:
    return result is None


def test_an_unwanted_result_is_retried_and_the_last_one_is_returned(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        retry = Retry(3, 1.0, jitter=False, idempotent=True, retry_if=lambda n: n != 3, clock=world.clock)
        found = [await outcome(world.guard(retry, 1, 2, 3)), world.now()]
        return [*found, await outcome(world.guard(retry, 1, 2, 4)), world.now()]

    assert same_trace(scenario) == [3, 3.0, 4, 6.0]


@given(st.lists(st.none() | st.integers(), min_size=1, max_size=6), st.integers(1, 5))
def test_the_first_wanted_result_or_else_the_last_is_returned(results: list[int | None], most: int) -> None:
    script = Script(*results)
    made = [*results, *[results[-1]] * most][:most]
    wanted = next((at for at, result in enumerate(made) if result is not None), most - 1)
    retry = Retry(most, 0.0, retry_if=is_none, clock=FakeClock())
    assert retry(script.__call__)() == made[wanted]
    assert script.calls == wanted + 1


def test_exceptions_and_unwanted_results_share_the_attempts(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        retry = Retry(3, 1.0, jitter=False, idempotent=True, retry_if=is_none, clock=world.clock)
        last = await outcome(world.guard(retry, None, Down("1"), Down("2"), "too late"))
        return [last, await outcome(world.guard(retry, Down(), None, "up")), world.now()]

    assert same_trace(scenario) == ["Down", "up", 6.0]


@pytest.mark.parametrize("inside", [False, True])
def test_a_breaker_takes_an_unwanted_result_for_a_success(same_trace, inside: bool) -> None:
    async def scenario(world: World) -> list[object]:
        breaker = CircuitBreaker("engine", failure_threshold=1, clock=world.clock)
        retry = Retry(3, 1.0, jitter=False, idempotent=True, retry_if=is_none, clock=world.clock)
        parts = (retry, breaker) if inside else (breaker, retry)
        result = await outcome(world.guard(Policy("engine", *parts, Timeout(5.0)), None))
        snapshot = breaker.snapshot()
        return [result, snapshot.success, snapshot.failure, snapshot.state.value]

    assert same_trace(scenario) == [None, 3 if inside else 1, 0, "closed"]


def test_failure_if_of_a_breaker_judges_an_unwanted_result(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        breaker = CircuitBreaker("engine", failure_threshold=9, failure_if=is_none, clock=world.clock)
        retry = Retry(2, 1.0, jitter=False, idempotent=True, retry_if=is_none, clock=world.clock)
        await outcome(world.guard(Policy("engine", retry, breaker), None))
        return [breaker.snapshot().failure]

    assert same_trace(scenario) == [2]


def test_a_call_that_is_not_idempotent_is_not_repeated_for_its_result() -> None:
    script = Script(None, "up")
    assert Policy("engine", Retry(3, retry_if=is_none, clock=FakeClock())).call(script) is None
    assert script.calls == 1


def test_events_hold_the_result() -> None:
    retry = Retry(2, 0.0, retry_if=is_none, clock=FakeClock())
    with capture_events(AttemptFailed) as events:
        retry(Script(None).__call__)()
    assert [(type(event.error), event.error.value) for event in events] == [(UnwantedResult, None)] * 2


def test_slots_are_free_after_an_unwanted_result_and_after_a_cancellation(run) -> None:
    async def main() -> None:
        slots = Bulkhead(1)
        policy = Policy("engine", slots, Retry(3, 5.0, idempotent=True, retry_if=is_none))
        assert await policy.call(Script(None, None, None).call) is None
        with anyio.move_on_after(1.0) as scope:
            await policy.call(Script(None).call)
        assert scope.cancelled_caught
        with anyio.move_on_after(1.0) as scope:
            await policy.call(Script(Slow(60.0)).call)
        assert scope.cancelled_caught
        assert slots.snapshot().running == 0

    run(main)


def test_the_result_of_an_awaitable_is_checked_and_not_the_awaitable() -> None:
    seen: list[object] = []

    def is_unwanted(result: object) -> bool:
        seen.append(result)
        return result == 1

    async def main() -> None:
        script = Script(1, 2, 1, 2)

        @exponential_backoff_retry(base_delay=0.0, retry_if=is_unwanted)
        def fetch() -> asyncio.Future[object]:
            future = asyncio.get_running_loop().create_future()
            future.set_result(script())
            return future

        assert [await fetch(), await fetch()] == [2, 2]

    asyncio.run(main())
    assert seen == [1, 2, 1, 2]


def test_items_and_contexts_are_no_results_to_check() -> None:
    async def items() -> AsyncGenerator[int]:
        yield 1

    with pytest.raises(TypeError, match="async generator function cannot be guarded by a retry with retry_if"):
        Retry(retry_if=is_none)(items)


def test_a_predicate_that_must_be_awaited_is_refused() -> None:
    async def later(result: object) -> bool:
        return False

    with pytest.raises(ValueError, match="retry_if must be a plain function"):
        Retry(retry_if=later)
