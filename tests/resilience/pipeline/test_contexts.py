"""Context manager factories that hold something open for their body: a task group, a scope, a deadline."""

import math
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from cqox.resilience import (
    AttemptTimeout,
    Bulkhead,
    CircuitBreaker,
    CircuitState,
    DeadlineExceeded,
    Policy,
    Retry,
    Timeout,
    api_timeout,
    deadline,
    remaining,
)
from cqox.tasks import TaskGroup, open_task_group
from tests.resilience.conftest import Run


def test_a_limited_opening_may_leave_a_task_group_open_for_the_body(run: Run) -> None:
    done: list[str] = []

    @api_timeout(5.0)
    @asynccontextmanager
    async def workers() -> AsyncGenerator[TaskGroup]:
        async with open_task_group() as group:
            await anyio.sleep(1.0)
            yield group

    async def work() -> None:
        await anyio.sleep(60.0)
        done.append("work")

    async def main() -> float:
        start = anyio.current_time()
        async with workers() as group:
            group.start_soon(work)
            assert remaining() == math.inf
            await anyio.sleep(10.0)
        return anyio.current_time() - start

    assert run(main) == pytest.approx(61.0)
    assert done == ["work"]


def test_an_opening_that_times_out_closes_what_it_has_opened(run: Run) -> None:
    closed: list[str] = []
    breaker, bulkhead = CircuitBreaker("opening", 1), Bulkhead(1)

    @Policy("opening", bulkhead, breaker, Timeout(5.0))
    @asynccontextmanager
    async def workers() -> AsyncGenerator[None]:
        async with open_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            try:
                await anyio.sleep(60.0)
                yield
            finally:
                closed.append("closed")

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            async with workers():
                pytest.fail("opened")

    run(main)
    assert closed == ["closed"]
    assert breaker.state is CircuitState.OPEN
    assert bulkhead.snapshot().running == 0


def test_each_attempt_to_open_has_its_own_limit(run: Run) -> None:
    attempts: list[float] = []

    @Policy("attempts to open", Retry(3, 1.0, jitter=False, idempotent=True), Timeout(5.0))
    @asynccontextmanager
    async def workers() -> AsyncGenerator[anyio.abc.TaskGroup]:
        attempts.append(remaining())
        async with anyio.create_task_group() as group:
            await anyio.sleep(60.0 if len(attempts) < 3 else 4.0)
            yield group

    async def main() -> float:
        start = anyio.current_time()
        async with workers() as group:
            group.start_soon(anyio.sleep, 1.0)
            await anyio.sleep(30.0)
        return anyio.current_time() - start

    assert run(main) == pytest.approx(5 + 1 + 5 + 2 + 4 + 30)
    assert attempts == pytest.approx([5.0, 5.0, 5.0])


def test_limits_in_two_frames_are_left_one_after_the_other(run: Run) -> None:
    @Policy("two limits", Timeout(20.0), Retry(2, 1.0, jitter=False, idempotent=True), Timeout(5.0))
    @asynccontextmanager
    async def scoped() -> AsyncGenerator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            yield scope

    async def main() -> bool:
        async with scoped() as scope:
            await anyio.sleep(30.0)
            scope.cancel()
            await anyio.sleep_forever()
        await anyio.sleep(30.0)
        return scope.cancelled_caught

    assert run(main)


def test_the_deadline_of_the_caller_holds_in_the_body_and_ends_it(run: Run) -> None:
    seen: list[float] = []

    @api_timeout(5.0)
    @asynccontextmanager
    async def workers() -> AsyncGenerator[None]:
        async with open_task_group():
            await anyio.sleep(1.0)
            yield

    async def main() -> None:
        with deadline(30.0):
            async with workers():
                seen.append(remaining())
                await anyio.sleep_forever()

    with pytest.raises(DeadlineExceeded):
        run(main)
    assert seen == pytest.approx([29.0])


def test_a_deadline_that_the_context_holds_open_is_in_force_in_the_body_and_nothing_stays_after_it(run: Run) -> None:
    seen: list[float] = []

    @api_timeout(5.0)
    @asynccontextmanager
    async def hurried() -> AsyncGenerator[None]:
        with deadline(2.0):
            yield

    async def main() -> None:
        async with hurried():
            seen.append(remaining())
        seen.append(remaining())
        with pytest.raises(DeadlineExceeded):
            async with hurried():
                await anyio.sleep_forever()
        seen.append(remaining())

    run(main)
    assert seen == [2.0, math.inf, math.inf]


def test_in_plain_code_nothing_stays_in_force_after_a_context_that_sets_a_deadline() -> None:
    @api_timeout(5.0)
    @contextmanager
    def hurried() -> Generator[None]:
        with deadline(2.0):
            yield

    with hurried():
        assert remaining() <= 2.0
    assert remaining() == math.inf
    with pytest.raises(ZeroDivisionError), hurried():
        print(1 / 0)
    assert remaining() == math.inf


def test_an_error_of_the_body_goes_through_the_context_and_out(run: Run) -> None:
    seen: list[str] = []
    bulkhead = Bulkhead(1)

    @Policy("error of the body", bulkhead, Timeout(5.0))
    @asynccontextmanager
    async def scoped() -> AsyncGenerator[None]:
        with anyio.CancelScope():
            try:
                yield
            except ZeroDivisionError:
                seen.append("context")
                raise

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with scoped():
                raise ZeroDivisionError

    run(main)
    assert seen == ["context"]
    assert bulkhead.snapshot().running == 0


def test_a_context_that_opens_in_the_very_moment_its_time_runs_out_is_closed_again(run: Run) -> None:
    closed: list[str] = []

    @api_timeout(5.0)
    @asynccontextmanager
    async def late() -> AsyncGenerator[None]:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    yield
                finally:
                    closed.append("closed")

    async def main() -> None:
        with pytest.raises((AttemptTimeout, RuntimeError)):
            async with late():
                pytest.fail("the body would be cancelled at once")

    run(main)
    assert closed == ["closed"]


def test_a_context_whose_closing_then_fails_gives_its_slot_back_all_the_same(run: Run) -> None:
    slots = Bulkhead(1)

    @Policy("late", Timeout(1.0), slots)
    @asynccontextmanager
    async def late() -> AsyncGenerator[None]:
        async with open_task_group():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2.0)
            try:
                yield
            finally:
                await anyio.lowlevel.checkpoint()  # closing waits, and its time has run out

    async def main() -> None:
        with pytest.raises(AttemptTimeout):
            async with late():
                pytest.fail("the body would be cancelled at once")

    run(main)
    assert slots.snapshot().running == 0
