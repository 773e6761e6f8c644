"""Queueing time, which is never attributed to the dependency."""

import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    FailureRate,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    Timeout,
    deadline,
)
from cqox.resilience.pipeline.part import Part
from cqox.resilience.propagation.http import propagate
from cqox.resilience.retry.classification import is_overload
from cqox.resilience.testing import Script, Slow
from tests.resilience.conftest import Run


class Request:
    method = "POST"

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.extensions: dict[str, object] = {}


async def through(queue: Bulkhead | RateLimit, call: Callable[[], Awaitable[object]]) -> object:
    async with queue:
        return await call()


def parts_around(queue: Part) -> list[tuple[Part, ...]]:
    return [
        (queue,),
        (Timeout(20.0), queue),
        (queue, Timeout(20.0)),
        (Retry(3, 0.0, idempotent=True), queue),
        (Timeout(20.0), Retry(3, 0.0, idempotent=True), queue),
        (Hedge(1.0, 2), queue),
        (Timeout(20.0), Hedge(1.0, 2), queue),
        (Fallback(lambda error: None, (KeyError,)), queue),
    ]


@pytest.mark.parametrize("order", range(8))
@pytest.mark.parametrize("seconds", [5.0, 30.0])
@pytest.mark.parametrize("inside", ["policy", "callee", "block"])
def test_a_deadline_that_passes_in_a_queue_is_no_failure(run: Run, order: int, seconds: float, inside: str) -> None:
    async def main() -> None:
        queue = Bulkhead(1, max_queued=5)
        breaker = CircuitBreaker("engine", failure_threshold=1)
        parts = parts_around(queue)[order]
        if inside == "policy":
            call = Policy("engine", breaker, *parts)(anyio.sleep_forever)
        else:
            rest = [part for part in parts if part is not queue] or [Timeout(20.0)]
            around = Policy("engine", breaker, *rest)
            call = around(lambda_of(queue)) if inside == "callee" else in_block(breaker, queue)
        async with queue:
            with pytest.raises((DeadlineExceeded, AttemptTimeout)), deadline(seconds):
                await call()
        snapshot = breaker.snapshot()
        assert snapshot.failure == 0, "the dependency was blamed for the queue"
        assert queue.snapshot().queued == 0

    run(main)


def lambda_of(queue: Bulkhead) -> Callable[[], Awaitable[object]]:
    async def callee() -> object:
        return await through(queue, anyio.sleep_forever)

    return callee


def in_block(breaker: CircuitBreaker, queue: Bulkhead) -> Callable[[], Awaitable[object]]:
    async def call() -> object:
        async with breaker:
            return await through(queue, anyio.sleep_forever)

    return call


@pytest.mark.parametrize("order", range(8))
def test_a_dependency_that_hangs_behind_a_free_queue_still_trips(run: Run, order: int) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        parts = parts_around(Bulkhead(5, max_queued=5))[order]
        with pytest.raises((DeadlineExceeded, AttemptTimeout)), deadline(5.0):
            await Policy("engine", breaker, *parts)(anyio.sleep_forever)()
        assert breaker.snapshot().failure == 1

    run(main)


@pytest.mark.parametrize("waited", [4.5, 2.0])
@pytest.mark.parametrize("nested", [False, True])
def test_of_the_time_in_front_of_a_deadline_only_that_of_the_callee_is_its_share(
    run: Run, waited: float, nested: bool
) -> None:
    async def main() -> None:
        queue, breaker = Bulkhead(1, max_queued=5), CircuitBreaker("engine", failure_threshold=1)
        parts = (Fallback(lambda error: None, (KeyError,)), queue) if nested else (queue,)

        async def holder() -> None:
            async with queue:
                await anyio.sleep(waited)

        async with anyio.create_task_group() as group:
            group.start_soon(holder)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(DeadlineExceeded) as caught, deadline(5.0):
                await Policy("engine", breaker, *parts)(anyio.sleep_forever)()
        # It had half a second of five, which is no fair share, or three.
        assert breaker.snapshot().failure == (waited == 2.0)
        assert caught.value.before_call is (waited == 4.5)

    run(main)


def test_time_in_a_queue_makes_no_call_slow(run: Run) -> None:
    async def main() -> None:
        rate = FailureRate(window=10, minimum_calls=1, slow_call_seconds=1.0, slow_call_rate=0.1)
        breaker = CircuitBreaker("engine", failure_rate=rate)
        queue = Bulkhead(1, max_queued=50)
        outer = AdaptiveLimit(50, slow_call_seconds=1.0)
        call = Policy("engine", outer, breaker, queue)(anyio.sleep)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(call, 0.5)
        assert (breaker.snapshot().recent_slow, outer.snapshot().cuts) == (0, 0)
        await call(1.5)
        assert breaker.snapshot().success == 11
        assert outer.snapshot().cuts == 1, "a slow dependency is one still"

    run(main)


def test_an_attempt_that_a_queue_has_taken_the_time_of_is_no_overload(run: Run) -> None:
    async def main() -> None:
        queue, limit = Bulkhead(1, max_queued=1), AdaptiveLimit(10)
        async with queue:
            with pytest.raises(AttemptTimeout) as caught:
                await Policy("engine", limit, Timeout(2.0), queue)(anyio.lowlevel.checkpoint)()
        assert caught.value.before_call
        assert not is_overload(caught.value)
        assert limit.snapshot().cuts == 0

    run(main)


def test_an_attempt_after_a_pause_has_only_its_own_time(run: Run) -> None:
    async def main() -> None:
        breaker, attempts = CircuitBreaker("engine", failure_threshold=1, failures=(OSError,)), 0

        async def call() -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise KeyError
            await anyio.sleep_forever()

        retry = Retry(2, 4.5, jitter=False, idempotent=True)
        with pytest.raises(DeadlineExceeded), deadline(5.0):
            await Policy("engine", breaker, retry)(call)()
        # Half a second at work, and the rest in a pause of ours.
        assert (breaker.snapshot().failure, breaker.snapshot().cancelled) == (0, 1)

    run(main)


def test_a_thread_in_a_queue_is_no_failure() -> None:
    queue, breaker = Bulkhead(1, max_queued=1), CircuitBreaker("engine", failure_threshold=1)
    call = Policy("engine", breaker, Timeout(60.0), queue)(time.sleep)
    with queue, pytest.raises(DeadlineExceeded), deadline(0.02):
        call(1.0)
    assert (breaker.snapshot().failure, breaker.snapshot().ignored) == (0, 1)


def test_a_request_that_propagate_refuses_is_no_failure(run: Run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)

        async def call() -> None:
            with deadline(0.0):
                await propagate(Request())

        with pytest.raises(DeadlineExceeded) as caught:
            await breaker(call)()
        assert caught.value.before_call
        assert (breaker.snapshot().failure, breaker.snapshot().ignored) == (0, 1)

    run(main)


def test_pauses_between_attempts_make_no_call_slow(run: Run) -> None:
    async def main() -> None:
        rate = FailureRate(window=10, minimum_calls=1, slow_call_seconds=1.0, slow_call_rate=0.1)
        breaker = CircuitBreaker("engine", failure_rate=rate)
        outer = AdaptiveLimit(50, slow_call_seconds=1.0)
        call = Policy("engine", outer, breaker, Retry(3, 5.0, idempotent=True))(Script(OSError, OSError, "answer").call)
        assert await call() == "answer"
        assert (breaker.snapshot().recent_slow, outer.snapshot().cuts) == (0, 0)

    run(main)


@pytest.mark.parametrize(("worked", "blamed"), [(0.1, 0), (2.0, 1)])
def test_of_a_timeout_around_a_retry_only_the_time_of_the_callee_counts(run: Run, worked: float, blamed: int) -> None:
    """The first attempt fails after `worked` seconds; then a pause and a queue take the rest of the time."""

    async def main() -> None:
        queue, breaker = Bulkhead(1, max_queued=5), CircuitBreaker("engine", failure_threshold=1)
        parts = (breaker, Timeout(5.0), Retry(2, 1.0, jitter=False, idempotent=True), queue)
        call = Policy("engine", *parts)(Script(Slow(worked, OSError()), "never").call)

        async def holder() -> None:
            await anyio.sleep(worked + 0.5)
            async with queue:
                await anyio.sleep(60.0)

        async with anyio.create_task_group() as group:
            group.start_soon(holder)
            with pytest.raises(AttemptTimeout) as caught:
                await call()
        assert caught.value.before_call is not bool(blamed)
        assert breaker.snapshot().failure == blamed

    run(main)
