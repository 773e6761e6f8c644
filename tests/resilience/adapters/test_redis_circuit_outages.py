"""A circuit shared over Redis, in virtual time, while Redis is away, slow or empty."""

import anyio
import pytest

from cqox.resilience import CircuitState
from cqox.resilience.adapters.redis_circuit import (
    CircuitSharingLost,
    CircuitSharingRestored,
    Sharing,
)
from cqox.resilience.testing import capture_events
from tests.resilience.adapters.redis_model import Away, RedisModel
from tests.resilience.adapters.sharing_processes import ANSWER, RECOVERY, REFRESH, Down, processes
from tests.resilience.conftest import Run


@pytest.mark.parametrize("mode", ["down", "nil", "hung", "slow", "lost"])
def test_without_redis_each_process_decides_by_itself_and_says_so(run: Run, mode: str) -> None:
    async def main() -> None:
        redis = RedisModel()
        with capture_events(CircuitSharingLost, CircuitSharingRestored) as events:
            async with processes(2, redis, half_open_max_calls=1) as (one, two):
                await one.trip()
                await anyio.sleep(REFRESH + 0.1)
                redis.mode = mode
                await anyio.sleep(RECOVERY)
                assert [process.breaker.sharing for process in (one, two)] == [Sharing.DEGRADED, Sharing.DEGRADED]
                assert one.breaker.snapshot().sharing is Sharing.DEGRADED
                assert [type(event) for event in events] == [CircuitSharingLost, CircuitSharingLost]
                assert isinstance(events[0], CircuitSharingLost)
                assert isinstance(events[0].error, {"down": Away, "nil": TypeError}.get(mode, TimeoutError))
                began = anyio.current_time()
                assert [await one.call(), await two.call()] == ["answer", "answer"]  # one permit in each process
                assert anyio.current_time() - began < ANSWER
                assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)
                redis.mode = "up"
                await anyio.sleep(2 * REFRESH)
                assert [process.breaker.sharing for process in (one, two)] == [Sharing.SHARED, Sharing.SHARED]
                assert [type(event) for event in events[2:]] == [CircuitSharingRestored, CircuitSharingRestored]
                assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)
                assert redis.probe_at == 0  # what was decided meanwhile is now shared

    run(main)


def test_a_redis_that_only_reads_is_lost_once(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(1, redis) as (one,):
            redis.mode = "full"
            with capture_events(CircuitSharingLost, CircuitSharingRestored) as events:
                await one.trip()
                await anyio.sleep(RECOVERY / 2)
                assert [type(event) for event in events] == [CircuitSharingLost]
                redis.mode = "up"
                await anyio.sleep(REFRESH + 0.1)
                assert [type(event) for event in events] == [CircuitSharingLost, CircuitSharingRestored]
                assert redis.probe_at

    run(main)


@pytest.mark.parametrize("mode", ["down", "hung", "slow", "lost"])
def test_a_call_waits_for_redis_no_longer_than_its_timeout(run: Run, mode: str) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(1, redis, refresh=1000.0) as (one,):
            await one.trip()
            await anyio.sleep(RECOVERY + 0.1)
            redis.mode = mode
            began = anyio.current_time()
            assert await one.call() == "answer"
            assert anyio.current_time() - began <= ANSWER + 0.01
            assert one.state is CircuitState.CLOSED
            assert one.breaker.sharing is Sharing.DEGRADED

    run(main)


@pytest.mark.parametrize("failed", [False, True])
def test_an_outcome_that_does_not_reach_redis_counts_here(run: Run, failed: bool) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(1, redis) as (one,):
            await one.trip()
            await anyio.sleep(RECOVERY + 0.1)

            async def probe() -> None:
                redis.mode = "down"
                if failed:
                    raise Down

            with pytest.raises(Down) if failed else anyio.CancelScope():
                await one.breaker(probe)()
            await anyio.sleep(ANSWER)
            assert one.state is (CircuitState.OPEN if failed else CircuitState.CLOSED)

    run(main)


def test_an_opening_during_an_outage_is_shared_afterwards(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        redis.mode = "down"
        async with processes(2, redis) as (one, two):
            assert one.breaker.sharing is Sharing.DEGRADED
            await one.trip()
            await anyio.sleep(2.0)
            assert two.state is CircuitState.CLOSED
            redis.mode = "up"
            await anyio.sleep(2 * REFRESH + 0.1)
            assert two.state is CircuitState.OPEN
            assert two.breaker.snapshot().retry_after == pytest.approx(RECOVERY - 4.1, abs=0.2)

    run(main)


def test_redis_that_lost_its_data_learns_the_state_again(run: Run) -> None:
    async def main() -> None:
        redis = RedisModel()
        async with processes(2, redis) as (one, two):
            await one.trip()
            await anyio.sleep(REFRESH + 0.1)
            redis.lose_data()
            await anyio.sleep(3 * REFRESH)
            assert redis.probe_at > 0
            assert (one.state, two.state) == (CircuitState.OPEN, CircuitState.OPEN)
            await anyio.sleep(RECOVERY)
            redis.lose_data()
            assert await one.call() == "answer"
            await anyio.sleep(2 * REFRESH)
            assert (one.state, two.state) == (CircuitState.CLOSED, CircuitState.CLOSED)

    run(main)
