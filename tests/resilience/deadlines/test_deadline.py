"""The deadline of a block: remaining time, expiry, and what reaches the caller."""

import asyncio
import math
from collections.abc import AsyncGenerator
from datetime import timedelta

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience import Fallback, Hedge, Policy, Retry, Timeout, deadline, remaining
from cqox.resilience.pipeline.part import Part
from cqox.resilience.testing import FakeClock, Script, run_in_virtual_time
from tests.resilience.conftest import Down, Run, World, outcome


def test_without_one_the_time_is_infinite(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        return [remaining()]

    assert same_trace(scenario) == [math.inf]


def test_it_counts_down_nests_and_is_never_lengthened(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        trace: list[object] = []
        with deadline(10.0, clock=world.clock):
            trace.append(round(remaining(), 6))
            await world.sleep(4.0)
            trace.append(round(remaining(), 6))
            with deadline(100.0, clock=world.clock):
                trace.append(round(remaining(), 6))
                with deadline(2.0, clock=world.clock):
                    trace.append(round(remaining(), 6))
                    await world.sleep(1.0)
                    trace.append(round(remaining(), 6))
            trace.append(round(remaining(), 6))
        trace.append(remaining())
        return trace

    assert same_trace(scenario) == [10.0, 6.0, 6.0, 2.0, 1.0, 5.0, math.inf]


def test_it_ends_what_runs_inside(run) -> None:
    async def main() -> None:
        start = anyio.current_time()
        with pytest.raises(DeadlineExceeded) as caught, deadline(3.0):
            await anyio.sleep_forever()
        assert anyio.current_time() - start == pytest.approx(3.0)
        assert caught.value.seconds == 3.0
        assert isinstance(caught.value, TimeoutError)

    run(main)


def test_the_shorter_of_two_is_the_one_that_is_raised(run) -> None:
    async def main() -> None:
        with pytest.raises(DeadlineExceeded) as caught, deadline(2.0), deadline(5.0):
            await anyio.sleep_forever()
        assert caught.value.seconds == 2.0
        with pytest.raises(DeadlineExceeded) as caught, deadline(5.0), deadline(2.0):
            await anyio.sleep_forever()
        assert caught.value.seconds == 2.0

    run(main)


def test_a_result_that_is_there_is_kept_and_a_cancellation_from_outside_stays_one(run) -> None:
    async def main() -> None:
        with deadline(1.0):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5.0)
            result = "there"
        assert result == "there"
        with anyio.move_on_after(1.0) as scope:
            with deadline(1.0):
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    run(main)


def test_an_exception_of_the_block_goes_through_as_it_is(run) -> None:
    async def main() -> None:
        error = ValueError("mine")
        with pytest.raises(ValueError, match="mine") as caught, deadline(1.0):
            raise error
        assert caught.value is error

    run(main)


def test_plain_code_that_overruns_keeps_its_result() -> None:
    clock = FakeClock()
    with deadline(1.0, clock=clock):
        clock.advance(5.0)
        assert remaining() == 0.0


def test_infinity_sets_none_and_one_serves_one_block(run) -> None:
    async def main() -> None:
        with deadline(math.inf):
            assert remaining() == math.inf
            await anyio.sleep(1000)
        one = deadline(1.0)
        with one:
            pass
        with pytest.raises(RuntimeError, match="one block"), one:
            pass

    run(main)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, "5", None])
def test_nonsense_is_refused(seconds: object) -> None:
    with pytest.raises(ValueError, match="seconds must be a number of seconds at least 0, not"):
        deadline(seconds)


def test_each_call_of_a_decorated_function_has_a_deadline_of_its_own(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        call = world.guard(deadline(5.0, clock=world.clock), "up")
        trace = [await outcome(call)]
        await world.sleep(7.0)
        return [*trace, await outcome(call), remaining() == math.inf]

    assert same_trace(scenario) == ["up", "up", True]


def test_a_deadline_as_a_part_bounds_all_attempts_and_pauses(same_trace) -> None:
    error = Down("last")

    async def scenario(world: World) -> list[object]:
        error.__dict__.pop("__notes__", None)
        policy = Policy(
            "engine",
            deadline(timedelta(seconds=6), clock=world.clock),
            Retry(9, 2.0, jitter=False, idempotent=True, clock=world.clock),
        )
        return [await outcome(world.guard(policy, Down(), error, "late")), world.now(), *error.__notes__]

    note = "no further attempt was made after 2: the pause, 4.00 s, would outlast the deadline, 4.00 s from now"
    assert same_trace(scenario) == ["Down", 2.0, note]


def test_a_decorated_call_that_hangs_ends_at_its_deadline(run) -> None:
    async def main() -> None:
        began = anyio.current_time()
        for guard in (deadline(3.0), Policy("engine", deadline(3.0), Timeout(10.0))):
            with pytest.raises(DeadlineExceeded) as caught:
                await guard(anyio.sleep)(60.0)
            assert caught.value.seconds == 3.0
        assert round(anyio.current_time() - began, 6) == 6.0

    run(main)


def test_a_cancellation_of_a_decorated_call_stays_one(run) -> None:
    async def main() -> None:
        with anyio.move_on_after(1.0) as scope:
            await deadline(3.0)(anyio.sleep)(60.0)
        assert scope.cancelled_caught

    run(main)


def test_a_hundred_tasks_share_a_decorated_function(run) -> None:
    async def main() -> None:
        left: list[float] = []

        @deadline(10.0)
        async def call(seconds: float) -> None:
            await anyio.sleep(seconds)
            left.append(round(remaining(), 6))

        async with anyio.create_task_group() as group:
            for at in range(100):
                group.start_soon(call, at / 20)
        assert left == [round(10.0 - at / 20, 6) for at in range(100)]

    run(main)


def test_an_awaitable_of_a_plain_function_is_awaited_in_time() -> None:
    async def main() -> None:
        @deadline(3.0)
        def fetch() -> asyncio.Future[None]:
            return asyncio.get_running_loop().create_future()

        with pytest.raises(DeadlineExceeded):
            await fetch()

    run_in_virtual_time(main)


def test_what_yields_cannot_be_decorated() -> None:
    async def items() -> AsyncGenerator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"^an async generator function cannot be guarded by a hedge, fallback or d"):
        deadline(1.0)(items)


def test_async_with_is_with_for_those_who_come_from_asyncio(run) -> None:
    async def main() -> None:
        async with deadline(2.0) as entered:
            assert remaining() == 2.0
            assert isinstance(entered, deadline)
        began = anyio.current_time()
        with pytest.raises(DeadlineExceeded):
            async with deadline(2.0):
                await anyio.sleep_forever()
        assert anyio.current_time() - began == 2.0
        with anyio.move_on_after(1) as scope:
            async with deadline(2.0):
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    run(main)


@pytest.mark.parametrize(
    "part", [Fallback(lambda error: "late", (KeyError,)), Hedge(1.0), deadline(5.0), deadline(0.0)]
)
def test_with_nothing_remaining_no_wrapper_calls_anything(run: Run, part: Part) -> None:
    script = Script("answer")

    async def main() -> None:
        with pytest.raises(DeadlineExceeded), deadline(0.0):
            await part(script.call)()

    run(main)
    assert script.calls == 0
    if not isinstance(part, Hedge):
        with pytest.raises(DeadlineExceeded), deadline(0.0):
            part(script.__call__)()
        assert script.calls == 0
