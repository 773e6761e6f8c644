"""Deadlines of the cancel scopes of AnyIO and Trio."""

import math

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from cqox.errors import CircuitOpen, DeadlineExceeded
from cqox.resilience import CircuitBreaker, Policy, Retry, Timeout, deadline, remaining
from tests.resilience.conftest import Run

pytestmark = pytest.mark.anyio


async def measured() -> float:
    await anyio.lowlevel.checkpoint()
    return remaining()


async def test_the_scopes_of_anyio_are_seen_where_they_are_asked_for() -> None:
    with anyio.fail_after(5.0):
        assert remaining() == math.inf
        with deadline.from_scope() as seen:
            assert seen.seconds == pytest.approx(5.0)
            assert remaining() == pytest.approx(5.0)
            await anyio.sleep(2.0)
            assert remaining() == pytest.approx(3.0)
        assert remaining() == math.inf


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_scopes_of_trio_are_seen() -> None:
    with trio.move_on_after(50.0):
        with deadline.from_scope():
            assert 40 < await measured() <= 50.0


async def test_the_earliest_of_several_scopes_and_deadlines_counts() -> None:
    with anyio.fail_after(5.0), anyio.fail_after(9.0):
        with deadline.from_scope():
            assert await measured() == pytest.approx(5.0)
    with anyio.fail_after(9.0), deadline(5.0):
        with deadline.from_scope():
            assert await measured() == pytest.approx(5.0)
    with deadline(9.0), anyio.fail_after(5.0):
        with deadline.from_scope():
            assert await measured() == pytest.approx(5.0)
            with deadline(2.0):
                assert await measured() == pytest.approx(2.0)
            assert await measured() == pytest.approx(5.0)


async def test_the_scope_ends_the_block_in_its_own_way() -> None:
    with anyio.move_on_after(1.0) as scope:
        with deadline.from_scope():
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    with pytest.raises(TimeoutError) as caught:
        with anyio.fail_after(1.0), deadline.from_scope():
            await anyio.sleep_forever()
    assert not isinstance(caught.value, DeadlineExceeded)


def test_without_a_deadline_there_is_none(run: Run) -> None:
    async def main() -> None:
        with deadline.from_scope() as seen:
            assert (seen.seconds, await measured()) == (math.inf, math.inf)
        with anyio.CancelScope(), deadline.from_scope():
            assert await measured() == math.inf

    run(main)


async def test_a_cancellation_stays_one() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        with deadline.from_scope():
            assert remaining() == math.inf
            await measured()
        raise AssertionError("the checkpoint must have cancelled the block")
    assert scope.cancelled_caught


async def test_children_see_it_and_shields_and_tasks_outside_do_not() -> None:
    seen: dict[str, float] = {}

    async def note(name: str) -> None:
        seen[name] = await measured()

    async with anyio.create_task_group() as outside:
        with anyio.fail_after(5.0):
            async with anyio.create_task_group() as around:
                with deadline.from_scope():
                    outside.start_soon(note, "outside")
                    around.start_soon(note, "around")
                    async with anyio.create_task_group() as inside:
                        inside.start_soon(note, "inside")
                    with anyio.CancelScope(shield=True):
                        seen["shield"] = await measured()
    five = pytest.approx(5.0, abs=0.2)
    assert seen["inside"] == five
    assert seen["shield"] == math.inf
    assert seen["outside"] == math.inf
    assert seen["around"] in (five, math.inf)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_thread_of_the_pool_sees_it_in_real_time() -> None:
    with anyio.fail_after(50.0), deadline.from_scope():
        assert 30.0 < await anyio.to_thread.run_sync(remaining) <= 50.0


async def test_parts_go_by_it_and_a_retry_does_not_outlast_it() -> None:
    calls = 0

    async def fail() -> None:
        nonlocal calls
        calls += 1
        await anyio.sleep(1.0)
        raise ConnectionResetError

    policy = Policy("scoped", deadline.from_scope(), Retry(9, 2.0, jitter=False, idempotent=True), Timeout(60.0))
    start = anyio.current_time()
    with anyio.fail_after(6.0):
        with pytest.raises(ConnectionResetError) as caught:
            await policy.call(fail)
    # The next pause would outlast the scope.
    assert (calls, anyio.current_time() - start) == (2, pytest.approx(4.0))
    assert "would outlast the deadline" in caught.value.__notes__[0]
    assert "enclosing cancel scopes" in policy.explain()


async def test_a_dependency_that_hangs_until_the_scope_ends_trips_its_circuit() -> None:
    breaker = CircuitBreaker("hangs", failure_threshold=1)

    @deadline.from_scope()
    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    with anyio.move_on_after(5.0):
        await hang()
    with pytest.raises(CircuitOpen):
        await hang()


def test_synchronous_code_has_no_scopes() -> None:
    with deadline.from_scope():
        assert remaining() == math.inf


async def test_the_middle_of_a_block_cannot_disarm_the_scope_of_others() -> None:
    with anyio.fail_after(5.0):
        with deadline.from_scope() as seen:
            assert not seen.disarm()
            assert await measured() == pytest.approx(5.0)
