"""Limits among other parts: when a slot is held, and the effect of a rejection."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from random import Random

import anyio
import anyio.lowlevel
import pytest

from cqox import errors
from cqox.resilience import (
    AdaptiveLimit,
    AttemptTimeout,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitState,
    DeadlineExceeded,
    Drain,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    deadline,
)
from cqox.resilience.pipeline.part import Gate
from cqox.resilience.testing import FakeClock, Script, capture_events
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run


def bulkhead_running(bulkhead: Bulkhead) -> int:
    return bulkhead.snapshot().running


async def running_in_a_pause(bulkhead: Bulkhead, policy: Policy) -> int:
    """Return the slots taken half a second after the first attempt failed; the second succeeds."""
    running: list[int] = []

    async def look() -> None:
        await anyio.sleep(0.5)
        running.append(bulkhead_running(bulkhead))

    async with open_task_group() as group:
        group.start_soon(look)
        assert await policy.call(Script(ValueError(), "answer").call) == "answer"
    (seen,) = running
    return seen


def test_outside_of_a_retry_a_slot_is_held_through_the_pauses(run: Run) -> None:
    bulkhead = Bulkhead(1)
    policy = Policy("slot outside", bulkhead, Retry(jitter=False, idempotent=True))
    assert run(lambda: running_in_a_pause(bulkhead, policy)) == 1
    assert bulkhead_running(bulkhead) == 0


def test_inside_of_a_retry_a_slot_is_free_during_the_pauses(run: Run) -> None:
    bulkhead = Bulkhead(1)
    policy = Policy("slot inside", Retry(jitter=False, idempotent=True), bulkhead)
    assert run(lambda: running_in_a_pause(bulkhead, policy)) == 0
    assert bulkhead.snapshot().admitted == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: _full(Bulkhead(1)),
        lambda: _full(AdaptiveLimit(1, max_limit=1)),
        lambda: _full(Shed(1)),
        lambda: _full(RateLimit(1, 1e6)),
        lambda: _begun(Drain()),
    ],
)
def test_a_refusal_is_not_retried_and_is_no_failure_of_the_dependency(make: Callable[[], Gate], run: Run) -> None:
    script = Script("answer")

    async def main() -> None:
        breaker = CircuitBreaker("refusals", failure_threshold=1)
        policy = Policy("refusals", breaker, Retry(idempotent=True), make())
        with capture_events() as events, pytest.raises(errors.Rejected) as caught:
            await policy.call(script.call)
        assert caught.value.__context__ is None
        assert breaker.state is CircuitState.CLOSED
        assert breaker.snapshot().ignored == 1
        kinds = [type(event).__name__ for event in events]
        assert kinds.count("CallRejected") == 1
        assert "RetryScheduled" not in kinds

    run(main)
    assert script.calls == 0


def _full[G: Gate](gate: G) -> G:
    gate.admit(None)
    return gate


def _begun(drain: Drain) -> Drain:
    drain.begin()
    return drain


def test_a_refusal_that_is_listed_by_name_is_retried(run: Run) -> None:
    script = Script("answer")

    async def main() -> object:
        bulkhead = Bulkhead(1)

        async def hold() -> None:
            async with bulkhead:
                await anyio.sleep(0.5)

        async with open_task_group() as group:
            group.start_soon(hold)
            await anyio.wait_all_tasks_blocked()
            retry = Retry(exceptions=(BulkheadFull,), idempotent=True, jitter=False)
            return await Policy("listed", retry, bulkhead).call(script.call)

    assert run(main) == "answer"


def test_the_timeout_inside_of_a_bulkhead_does_not_count_the_time_in_its_queue(run: Run) -> None:
    async def main() -> list[str]:
        policy = Policy("queue time", Bulkhead(1, 5), Timeout(2.0))
        outcomes: list[str] = []

        @policy
        async def work() -> None:
            await anyio.sleep(1.5)

        async def call() -> None:
            await work()
            outcomes.append("done")

        async with open_task_group() as group:
            for _ in range(4):
                group.start_soon(call)
        return outcomes

    assert run(main) == ["done"] * 4


def test_an_attempt_that_times_out_gives_its_slot_back(run: Run) -> None:
    bulkhead = Bulkhead(1)

    async def main() -> None:
        policy = Policy("slot and timeout", bulkhead, Timeout(2.0))
        for _ in range(3):
            with pytest.raises(AttemptTimeout):
                await policy.call(anyio.sleep_forever)

    run(main)
    assert bulkhead_running(bulkhead) == 0


def test_a_deadline_that_passes_in_the_queue_says_nothing_about_the_callee(run: Run) -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1, 5)
        breaker = CircuitBreaker("queue", failure_threshold=1)
        policy = Policy("queue", bulkhead, breaker)
        async with bulkhead:
            with pytest.raises(DeadlineExceeded), deadline(30.0):
                await policy.call(anyio.sleep, 0)
        assert breaker.snapshot().calls == 0
        assert bulkhead.snapshot().abandoned == 1

    run(main)


def test_a_stream_holds_its_slot_until_it_ends_or_is_closed(run: Run) -> None:
    bulkhead = Bulkhead(1)

    @bulkhead
    async def stream() -> AsyncGenerator[int]:
        for number in range(3):
            await anyio.lowlevel.checkpoint()
            yield number

    async def main() -> list[int]:
        seen = []
        async for number in stream():
            assert bulkhead_running(bulkhead) == 1
            seen.append(number)
        assert bulkhead_running(bulkhead) == 0
        early = stream()
        assert await anext(early) == 0
        with pytest.raises(BulkheadFull):
            await anext(stream())
        await early.aclose()
        return seen

    assert run(main) == [0, 1, 2]
    assert bulkhead_running(bulkhead) == 0


def test_an_async_context_holds_its_slot_until_its_block_ends(run: Run) -> None:
    bulkhead = Bulkhead(1)

    @bulkhead
    @asynccontextmanager
    async def connection() -> AsyncGenerator[str]:
        await anyio.lowlevel.checkpoint()
        yield "connection"

    async def main() -> None:
        async with connection() as opened:
            assert opened == "connection"
            assert bulkhead_running(bulkhead) == 1
        assert bulkhead_running(bulkhead) == 0

    run(main)


def test_a_context_holds_its_slot_until_its_block_ends_however_it_ends() -> None:
    bulkhead = Bulkhead(1)

    @bulkhead
    @contextmanager
    def connection() -> Generator[str]:
        yield "connection"

    held = []
    with pytest.raises(ZeroDivisionError), connection():
        held.append(bulkhead_running(bulkhead) / 0)
    assert held == []
    with connection():
        assert bulkhead_running(bulkhead) == 1
    assert bulkhead_running(bulkhead) == 0


def test_a_sync_function_is_limited_like_any_other() -> None:
    bulkhead = Bulkhead(1)

    @bulkhead
    def outer() -> str:
        return inner()

    @bulkhead
    def inner() -> str:
        return "inner"

    with pytest.raises(BulkheadFull):
        outer()
    assert inner() == "inner"


def test_a_hundred_tasks_that_fail_get_no_more_retries_than_the_budget_holds(run: Run) -> None:
    script = Script(ConnectionError())

    async def main() -> int:
        budget = RetryBudget(ratio=0.2, floor_per_second=3.0)
        retry = Retry(3, 0.1, budget=budget, idempotent=True, rng=Random(1))
        guarded = Policy("budget", retry)(script.call)
        errors_seen: list[BaseException] = []

        async def call() -> None:
            with pytest.raises(ConnectionError) as caught:
                await guarded()
            errors_seen.append(caught.value)

        async with open_task_group() as group:
            for _ in range(100):
                group.start_soon(call)
        assert len(errors_seen) == 100
        snapshot = budget.snapshot()
        assert snapshot.first_attempts == 100
        return snapshot.granted

    granted = run(main)
    assert script.calls == 100 + granted
    assert 30 <= granted <= 30 + 20 + 3


def test_an_exhausted_budget_raises_the_last_error_at_once_and_says_why(run: Run) -> None:
    async def main() -> float:
        budget = RetryBudget(ratio=0.0, floor_per_second=0.0, name="of the engine")
        guarded = Policy("exhausted", Retry(5, budget=budget, idempotent=True, jitter=False))(
            Script(ConnectionError("mine")).call
        )
        start = anyio.current_time()
        with pytest.raises(ConnectionError, match="mine") as caught:
            await guarded()
        assert any("of the engine is exhausted" in note for note in caught.value.__notes__)
        return anyio.current_time() - start

    assert run(main) == pytest.approx(1.0), "one retry is what such a budget starts with"


def test_a_reason_to_give_up_is_noted_once_on_an_exception_that_comes_again_and_again() -> None:
    error, clock = ConnectionError("the same"), FakeClock()
    guarded = Retry(budget=RetryBudget(0.0, 0.0, clock=clock), clock=clock)(Script(error))
    for _ in range(10):
        with pytest.raises(ConnectionError) as caught:
            guarded()
        assert caught.value is error
    assert sorted(error.__notes__) == [
        "no further attempt was made after 1: retry budget is exhausted",
        "no further attempt was made after 2: retry budget is exhausted",
    ]


def test_a_policy_of_all_limits_explains_itself_and_takes_new_settings() -> None:
    policy = Policy("all limits", Drain(), Shed(100), Bulkhead(10, 5), RateLimit(50), AdaptiveLimit(20), Timeout(1.0))
    explained = policy.explain()
    for words in (
        "drain:",
        "shed:",
        "bulkhead: at most 10 concurrent calls, 5 waiting",
        "rate limit: 50",
        "adaptive limit:",
    ):
        assert words in explained
    policy.reconfigure(max_concurrent=3, capacity=7)
    assert policy.part(Bulkhead).snapshot().max_concurrent == 3
    assert len(policy.snapshot().parts) == 6


def test_refusals_cost_no_time_and_leave_a_frozen_clock_alone() -> None:
    clock = FakeClock()
    bulkhead = Bulkhead(1, clock=clock)
    with bulkhead, pytest.raises(BulkheadFull), bulkhead:
        pytest.fail("let in")
    assert clock.sleeps == []
