"""A circuit shared over Redis, in virtual time: transitions, permits, cancellations, threads."""

import math
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from anyio import to_thread

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitMode, CircuitState, FailureRate, Policy, Retry, Timeout
from cqox.resilience.adapters.redis_circuit import (
    RedisCircuitBreaker,
    Sharing,
)
from cqox.resilience.testing import Script
from tests.resilience.adapters.redis_model import RedisModel
from tests.resilience.adapters.sharing_processes import ANSWER, RECOVERY, REFRESH, Down, Process, processes
from tests.resilience.conftest import Run


def test_an_opening_is_that_of_all_processes(run: Run) -> None:
    async def main() -> None:
        async with processes(2) as (one, two):
            await one.trip()
            await anyio.sleep(REFRESH + 0.1)
            assert two.state is CircuitState.OPEN
            with pytest.raises(CircuitOpen) as caught:
                await two.call()
            assert caught.value.retry_after == pytest.approx(RECOVERY - REFRESH, abs=0.2)
            assert two.breaker.snapshot().generation == one.breaker.snapshot().generation > 0
            await anyio.sleep(RECOVERY)
            assert await two.call() == "answer"
            await anyio.sleep(REFRESH + 0.1)
            assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)
            assert await one.call() == "answer"

    run(main)


def test_the_recovery_of_the_process_that_opens_holds_for_all(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        one, two = Process(redis), Process(redis, recovery_timeout=1.0)
        async with one.breaker.shared(), two.breaker.shared():
            await one.trip()
            await anyio.sleep(5.0)
            with pytest.raises(CircuitOpen):
                await two.call()
            await anyio.sleep(RECOVERY - 4.9)
            assert await two.call() == "answer"

    run(main)


@pytest.mark.parametrize("permits", [1, 2])
def test_all_processes_together_probe_as_often_as_there_are_permits(run: Run, permits: int) -> None:
    async def main() -> None:
        async with processes(4, half_open_max_calls=permits) as everyone:
            await everyone[0].trip()
            await anyio.sleep(RECOVERY + REFRESH)
            async with anyio.create_task_group() as group:
                for process in everyone * 3:
                    group.start_soon(refused_or, process.hang)
                await anyio.sleep(0.5)
                assert sum(process.running for process in everyone) == permits
                group.cancel_scope.cancel()

    run(main)


async def refused_or(call: Callable[[], Awaitable[object]]) -> None:
    with suppress(CircuitOpen):
        await call()


def test_admission_asks_redis_only_where_it_is_half_open(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(1, redis) as (one,):
            for _ in range(100):
                await one.call()
            await one.trip()
            for _ in range(100):
                with pytest.raises(CircuitOpen):
                    await one.call()
            assert "acquire" not in redis.operations
            await anyio.sleep(RECOVERY + 0.1)
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(refused_or, one.hang)
                await anyio.sleep(0.1)
                assert redis.operations.count("acquire") == 1
                group.cancel_scope.cancel()

    run(main)


def test_a_process_that_was_refused_does_not_ask_for_every_call(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(2, redis) as (one, two):
            await one.trip()
            await anyio.sleep(RECOVERY + REFRESH)
            async with anyio.create_task_group() as group:
                group.start_soon(one.hang)
                await anyio.sleep(0.1)
                for _ in range(50):
                    with pytest.raises(CircuitOpen):
                        await two.call()
                assert redis.operations.count("acquire") == 2
                group.cancel_scope.cancel()
            await anyio.sleep(REFRESH)
            assert await two.call() == "answer"

    run(main)


def test_a_failed_or_slow_probe_opens_it_for_all(run: Run) -> None:
    async def main() -> None:
        rate = FailureRate(slow_call_seconds=2.0, minimum_calls=2, window=2)
        async with processes(2, failure_rate=rate) as (one, two):
            await one.trip()
            await anyio.sleep(RECOVERY + REFRESH)
            with pytest.raises(Down):
                await one.call(Down())
            await anyio.sleep(REFRESH + 0.1)
            assert (one.state, two.state) == (CircuitState.OPEN, CircuitState.OPEN)
            await anyio.sleep(RECOVERY)
            await two.breaker(anyio.sleep)(2.5)
            await anyio.sleep(REFRESH + 0.1)
            assert (one.state, two.state) == (CircuitState.OPEN, CircuitState.OPEN)

    run(main)


def test_a_probe_that_hangs_loses_its_permit_and_its_late_result_changes_nothing(run: Run) -> None:
    async def main() -> None:
        async with processes(2, probe_timeout=5.0) as (one, two):
            await one.trip()
            await anyio.sleep(RECOVERY + REFRESH)
            generation = one.breaker.snapshot().generation

            async def late() -> None:
                with pytest.raises(Down):
                    await one.breaker(fail_late)()

            async def fail_late() -> None:
                await anyio.sleep(6.0)
                raise Down

            async with anyio.create_task_group() as group:
                group.start_soon(late)
                await anyio.sleep(4.0)
                with pytest.raises(CircuitOpen):
                    await two.call()
                await anyio.sleep(1.1)
                assert await two.call() == "answer"
            await anyio.sleep(REFRESH + 0.1)
            assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)
            assert one.breaker.snapshot().stale == 1
            assert one.breaker.snapshot().generation > generation

    run(main)


def test_a_success_after_the_lease_closes_nothing_although_redis_still_knows_the_lease(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(2, redis, probe_timeout=5.0) as (one, two):
            await one.trip()
            await anyio.sleep(RECOVERY + REFRESH)
            # The lease begins here before the request, and in Redis when that arrives.
            redis.mode = "far"

            async def answer_late() -> None:
                redis.mode = "up"
                await anyio.sleep(4.9)

            await one.breaker(answer_late)()
            assert one.breaker.snapshot().stale == 1
            await anyio.sleep(REFRESH + 0.1)
            assert redis.probe_at
            assert CircuitState.CLOSED not in (one.state, two.state)
            assert redis.leases == {}
            assert await two.call() == "answer"
            await anyio.sleep(REFRESH + 0.1)
            assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)

    run(main)


def test_a_cancelled_probe_gives_its_permit_to_another_process(run: Run) -> None:
    async def main() -> None:
        async with processes(2) as (one, two):
            await one.trip()
            await anyio.sleep(RECOVERY + REFRESH)
            with anyio.move_on_after(1.0):
                await one.hang()
            await anyio.sleep(0.1)
            assert one.breaker.snapshot().cancelled == 1
            assert await two.call() == "answer"

    run(main)


def test_a_call_that_is_cancelled_while_it_asks_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(1, redis) as (one,):
            await one.trip()
            await anyio.sleep(RECOVERY + 0.1)
            redis.mode = "lost"
            with anyio.move_on_after(ANSWER / 2) as scope:
                await one.call()
            assert scope.cancelled_caught
            assert redis.leases != {}
            redis.mode = "up"
            await anyio.sleep(REFRESH + 0.1)
            assert redis.leases == {}
            assert await one.call() == "answer"

    run(main)


def test_a_reset_closes_it_for_all_and_other_modes_are_local(run: Run) -> None:
    async def main() -> None:
        async with processes(2) as (one, two):
            one.breaker.isolate()
            await anyio.sleep(2 * REFRESH)
            assert two.state is CircuitState.CLOSED
            await two.trip()
            await anyio.sleep(2 * REFRESH)
            assert one.breaker.snapshot().mode is CircuitMode.ISOLATED
            one.breaker.reset()
            await anyio.sleep(2 * REFRESH)
            assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)

    run(main)


async def fail_inside(process: Process) -> None:
    async with process.breaker.shared():
        raise LookupError


def test_before_and_after_the_block_it_is_local(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        process = Process(redis)
        assert process.breaker.sharing is Sharing.LOCAL
        await process.trip()
        await anyio.sleep(RECOVERY + 0.1)
        assert await process.call() == "answer"
        assert redis.operations == []
        async with process.breaker.shared():
            with pytest.raises(RuntimeError, match="shared by another task already"):
                await process.breaker.share()
        with pytest.raises(LookupError):  # no group around the exception of the block
            await fail_inside(process)
        assert process.breaker.sharing is Sharing.LOCAL
        async with process.breaker.shared():
            await process.trip()
            await anyio.sleep(0.1)
        await anyio.sleep(RECOVERY + 0.1)
        asked = len(redis.operations)
        assert await process.call() == "answer"
        assert len(redis.operations) == asked
        assert process.state is CircuitState.CLOSED

    run(main)


def test_an_outcome_at_the_end_of_the_block_is_handed_over(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        process = Process(redis)
        async with process.breaker.shared():
            await process.trip()
            await anyio.sleep(RECOVERY + 0.1)
            assert await process.call() == "answer"
        assert (redis.probe_at, redis.leases) == (0, {})
        assert process.state is CircuitState.CLOSED

    run(main)


def test_a_cancelled_task_hands_over_within_the_timeout_of_redis(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        process = Process(redis)
        async with anyio.create_task_group() as group:
            await group.start(process.breaker.share)
            await process.trip()
            await anyio.sleep(RECOVERY + 0.1)
            assert await process.call() == "answer"
            redis.mode = "hung"
            began = anyio.current_time()
            group.cancel_scope.cancel()
        assert anyio.current_time() - began <= ANSWER + 0.01
        assert process.state is CircuitState.CLOSED

    run(main)


def test_a_plain_function_asks_from_a_thread_and_is_refused_on_the_loop() -> None:
    """Threads take real time."""

    async def main() -> None:
        redis = RedisModel()
        process = Process(redis, recovery_timeout=0.0)
        plain = process.breaker(lambda: threading.get_ident())
        async with process.breaker.shared():
            await process.trip()
            await anyio.sleep(0.1)
            with pytest.raises(CircuitOpen):
                plain()
            assert await to_thread.run_sync(plain) != threading.get_ident()
            with anyio.fail_after(30):
                while process.state is not CircuitState.CLOSED:
                    await anyio.sleep(0.01)
            assert redis.operations.count("acquire") == 1
            assert plain() == threading.get_ident()

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)


def test_it_works_in_policies_under_its_usual_name(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        breaker = RedisCircuitBreaker("engine", redis, failure_threshold=1, recovery_timeout=RECOVERY)
        policy = Policy("shared", breaker, Retry(3, 0.0, idempotent=True), Timeout(5.0))
        script = Script(Down, Down, Down, Down, "answer")
        async with breaker.shared():
            with pytest.raises(Down):
                await policy.call(script.call)
            assert script.calls == 3
            await anyio.sleep(RECOVERY + 0.1)
            with pytest.raises(Down):
                await policy.call(script.call)
            assert script.calls == 4  # a probe is one attempt
            assert breaker.kind == "CircuitBreaker"
            with pytest.raises(TypeError, match="shared over Redis"):
                policy.for_key("host")

    run(main)


def test_nonsense_settings_are_refused() -> None:
    redis = RedisModel(lambda: math.nan)
    for name in ("redis_timeout", "refresh"):
        with pytest.raises(ValueError, match=f"{name} must be a number of seconds above 0"):
            RedisCircuitBreaker("engine", redis, **{name: 0})  # type: ignore[arg-type]
