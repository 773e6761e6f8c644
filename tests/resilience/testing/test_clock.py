"""The fake clock."""

import threading

import anyio
import anyio.lowlevel
import pytest

from cqox.resilience import Clock, Retry
from cqox.resilience.testing import FakeClock, Script


def test_it_is_a_clock() -> None:
    assert isinstance(FakeClock(), Clock)
    assert FakeClock(start=5.0).now() == 5.0


def test_an_automatic_clock_moves_with_every_sleep(run) -> None:
    async def main() -> None:
        clock = FakeClock()
        clock.sleep(2.0)
        await clock.sleep_async(3.0)
        assert (clock.now(), clock.sleeps) == (5.0, [2.0, 3.0])

    run(main)


def test_an_automatic_sleep_lets_other_tasks_run(run) -> None:
    async def main() -> None:
        clock, seen = FakeClock(), []

        async def other() -> None:
            seen.append("other")

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            await clock.sleep_async(1.0)
            await clock.sleep_async(1.0)
            seen.append("sleeper")
        assert seen == ["other", "sleeper"]

    run(main)


def test_sleepers_of_a_clock_that_is_not_automatic_wait_for_it(run) -> None:
    async def main() -> None:
        clock, woken = FakeClock(auto=False), []

        async def sleeper(seconds: float) -> None:
            await clock.sleep_async(seconds)
            woken.append(seconds)

        async with anyio.create_task_group() as group:
            for seconds in (3.0, 1.0, 2.0):
                group.start_soon(sleeper, seconds)
            await anyio.wait_all_tasks_blocked()
            assert clock.sleepers == 3
            clock.advance(2.0)
            await anyio.wait_all_tasks_blocked()
            assert sorted(woken) == [1.0, 2.0]
            clock.advance(0.9)
            await anyio.wait_all_tasks_blocked()
            assert len(woken) == 2
            clock.advance(0.1)
        assert woken[2] == 3.0

    run(main)


def test_a_sleeper_that_is_cancelled_is_forgotten(run) -> None:
    async def main() -> None:
        clock = FakeClock(auto=False)
        with anyio.move_on_after(1.0):
            await clock.sleep_async(5.0)
        assert clock.sleepers == 0
        await clock.sleep_async(0.0)

    run(main)


def test_threads_sleep_by_it_too() -> None:
    clock = FakeClock(auto=False)
    call = Retry(2, 10.0, jitter=False, clock=clock)(Script(ConnectionError(), "up").__call__)
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    while clock.sleepers == 0:
        pass
    clock.advance(9.0)
    assert clock.sleepers == 1
    clock.advance(1.0)
    thread.join()
    assert results == ["up"]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_it_cannot_be_moved_to_nowhere(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be"):
        FakeClock().advance(seconds)
