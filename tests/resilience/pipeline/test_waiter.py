"""Waking one call from its own loop, from another loop and from a thread."""

import asyncio
import math
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

from cqox.resilience.pipeline.waiter import TaskWaiter, ThreadWaiter
from cqox.resilience.runtime.criticality import Criticality
from cqox.tasks import open_task_group

LEVEL = Criticality.CRITICAL


@pytest.mark.anyio
async def test_a_task_is_woken_from_its_own_loop() -> None:
    waiter = TaskWaiter(LEVEL)
    async with open_task_group() as group:
        group.start_soon(waiter.wait)
        await anyio.wait_all_tasks_blocked()
        assert waiter.wake()


@pytest.mark.anyio
async def test_a_task_is_woken_from_a_thread() -> None:
    waiter = TaskWaiter(LEVEL)
    async with open_task_group() as group:
        group.start_soon(waiter.wait)
        await anyio.wait_all_tasks_blocked()
        assert await anyio.to_thread.run_sync(waiter.wake)


@pytest.mark.anyio
async def test_a_wake_before_the_wait_is_not_lost() -> None:
    waiter = TaskWaiter(LEVEL)
    assert waiter.wake()
    await waiter.wait()


@pytest.mark.parametrize(("sleeper", "waker"), [("asyncio", "trio"), ("trio", "asyncio"), ("asyncio", "asyncio")])
def test_a_task_is_woken_from_a_loop_in_another_thread(sleeper: str, waker: str) -> None:
    made = threading.Event()
    waiters: list[TaskWaiter] = []

    async def sleep() -> None:
        waiters.append(TaskWaiter(LEVEL))
        made.set()
        await waiters[0].wait()

    async def wake() -> None:
        await anyio.lowlevel.checkpoint()
        assert waiters[0].wake()

    thread = threading.Thread(target=anyio.run, args=(sleep,), kwargs={"backend": sleeper})
    thread.start()
    assert made.wait(10)
    anyio.run(wake, backend=waker)
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_is_woken_from_another() -> None:
    waiter = ThreadWaiter(LEVEL)
    threading.Thread(target=waiter.wake).start()
    assert waiter.wait(10.0)


def test_a_thread_waits_no_longer_than_its_limit_which_may_be_infinite() -> None:
    waiter = ThreadWaiter(LEVEL)
    assert not waiter.wait(0.0)
    waiter.wake()
    assert waiter.wait(math.inf)


@pytest.mark.anyio
async def test_a_task_whose_wait_was_cancelled_leaves_the_cancellation_to_its_caller() -> None:
    waiter = TaskWaiter(LEVEL)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await waiter.wait()
    assert scope.cancelled_caught


async def make_waiter() -> TaskWaiter:
    await anyio.lowlevel.checkpoint()
    return TaskWaiter(LEVEL)


def test_a_task_of_a_closed_asyncio_loop_cannot_be_woken() -> None:
    waiter = asyncio.run(make_waiter())
    assert not waiter.wake()


def test_a_task_of_a_finished_trio_run_cannot_be_woken() -> None:
    waiter = trio.run(make_waiter)
    assert not waiter.wake()


def test_a_task_of_a_finished_run_cannot_be_woken_from_a_later_run_on_the_same_thread() -> None:
    waiter = trio.run(make_waiter)

    async def wake() -> bool:
        await anyio.lowlevel.checkpoint()
        return waiter.wake()

    assert not asyncio.run(wake())
    assert not trio.run(wake)
