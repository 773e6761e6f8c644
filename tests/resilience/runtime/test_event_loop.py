"""The event loop of the running code, the same on asyncio and Trio."""

import asyncio
import math
import time

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from cqox.resilience.runtime.event_loop import EventLoop, current_loop, current_place, natural_time, task_or_loop
from tests.resilience.conftest import Run


def loop_here() -> EventLoop:
    loop = current_loop()
    assert loop is not None
    return loop


def test_outside_of_a_task_there_is_none(run: Run) -> None:
    async def main() -> None:
        assert current_loop() is not None
        assert await anyio.to_thread.run_sync(current_loop) is None
        assert await anyio.to_thread.run_sync(task_or_loop) is None
        assert await anyio.to_thread.run_sync(current_place) == (None, None, ())
        assert current_place() == (current_loop(), task_or_loop(), ())
        async with anyio.create_task_group():
            assert current_place() == (current_loop(), task_or_loop(), loop_here().groups_of(task_or_loop()))

    assert current_loop() is None
    assert current_place() == (None, None, ())
    assert task_or_loop() is None
    run(main)


def test_a_task_is_itself_and_none_of_the_others(run: Run) -> None:
    async def main() -> None:
        tasks = []

        async def child() -> None:
            tasks.append(task_or_loop())
            assert loop_here().task() is task_or_loop()

        async with anyio.create_task_group() as group:
            group.start_soon(child)
            group.start_soon(child)
        assert len({id(task) for task in (*tasks, task_or_loop())}) == 3

    run(main)


def test_a_callback_has_a_loop_and_no_task() -> None:
    async def main() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        seen: list[object] = []

        def callback() -> None:
            seen.extend([current_loop(), task_or_loop(), *current_place()[:2]])
            done.set()

        loop.call_soon(callback)
        await done.wait()
        assert seen == [None, loop, None, None]

    asyncio.run(main())


def test_a_scope_cancels_its_block_at_its_time_by_the_time_of_the_loop(run: Run) -> None:
    async def main() -> None:
        loop = loop_here()
        began = loop.time()
        scope = loop.new_scope(deadline=began + 5.0)
        assert scope.deadline == began + 5.0
        with scope:
            await anyio.sleep_forever()
        assert scope.cancel_called
        assert scope.cancelled_caught
        assert loop.time() == pytest.approx(began + 5.0)
        endless = loop.new_scope(deadline=math.inf)
        with endless:
            await anyio.sleep(1000.0)
        assert not endless.cancel_called

    run(main)


def test_the_time_of_tasks_is_that_of_the_loop_only_where_it_is_simulated(run: Run) -> None:
    async def simulated() -> None:
        assert natural_time()() == pytest.approx(loop_here().time())

    async def real() -> object:
        return natural_time()

    run(simulated)
    assert anyio.run(real, backend="asyncio") is time.monotonic
    assert trio.run(real) is time.monotonic


def test_a_scope_certainly_cancels_the_tasks_inside_of_it_unless_they_are_shielded(run: Run) -> None:
    async def main() -> None:
        loop = loop_here()
        task, groups = loop.task(), loop.groups_of(loop.task())
        at = loop.time() + 5.0
        seen: list[bool] = []

        async def look(shield: bool) -> None:
            with anyio.CancelScope(shield=shield):
                await anyio.lowlevel.checkpoint()
                seen.append(loop.will_cancel_by(at, task, groups, mark))

        assert not loop.will_cancel_by(at, task, groups, None)
        with loop.new_scope(deadline=at):
            mark = loop.scope_id_of(task)
            assert loop.will_cancel_by(at, task, groups, mark)
            assert loop.will_cancel_by(at, task, groups, None)
            assert not loop.will_cancel_by(at - 1.0, task, groups, None)
            for shield in (False, True):
                async with anyio.create_task_group() as group:
                    group.start_soon(look, shield)
        assert seen == [True, False]

    run(main)


def test_a_scope_identity_is_that_of_its_task_directly_inside_of_it(run: Run) -> None:
    async def main() -> None:
        loop = loop_here()
        task = loop.task()
        with loop.new_scope(deadline=math.inf) as outer:
            assert isinstance(outer, anyio.CancelScope | trio.CancelScope)
            mark = loop.id_of(outer, task)
            assert mark is not None
            assert mark == loop.scope_id_of(task)
            assert loop.scope_of(mark) is outer
            with loop.new_scope(deadline=math.inf):
                assert loop.id_of(outer, task) == mark != loop.scope_id_of(task)

    run(main)


@pytest.mark.parametrize("lost", ["scope", "task"])
def test_a_scope_identity_is_unknown_once_trio_has_renamed_one_private_name(lost: str) -> None:
    async def main() -> None:
        loop = loop_here()
        with loop.new_scope(deadline=math.inf) as scope:
            task = loop.task()
            assert loop.id_of(object() if lost == "scope" else scope, object() if lost == "task" else task) is None
            assert loop.id_of(scope, task) is not None

    trio.run(main)


@pytest.mark.parametrize("seconds", [math.inf, 2.0])
def test_a_task_of_a_group_around_a_scope_is_outside_of_it_even_if_it_ends_sooner(run: Run, seconds: float) -> None:
    async def main() -> None:
        loop = loop_here()
        seen: list[bool] = []

        with anyio.move_on_after(seconds):
            await check(loop, seen)
        assert seen == [False]

    async def check(loop: EventLoop, seen: list[bool]) -> None:
        async with anyio.create_task_group() as group:
            task, groups = loop.task(), loop.groups_of(loop.task())
            at = loop.time() + 5.0

            async def look() -> None:
                seen.append(loop.will_cancel_by(at, task, groups, mark))

            with loop.new_scope(deadline=at):
                mark = loop.scope_id_of(task)
                group.start_soon(look)
                await anyio.sleep(1.0)

    run(main)
