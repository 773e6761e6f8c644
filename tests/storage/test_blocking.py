import threading

import anyio
import pytest
from anyio import CapacityLimiter

from cqox.storage.blocking import interruptible

pytestmark = pytest.mark.anyio


async def never() -> None:
    raise AssertionError("nothing was cancelled")


async def test_the_result_and_the_exception_of_the_call_reach_the_caller_unchanged() -> None:
    limiter = CapacityLimiter(1)
    assert await interruptible(lambda: 7, limiter=limiter, interrupt=never) == 7
    error = KeyError("mine")

    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await interruptible(fail, limiter=limiter, interrupt=never)
    assert caught.value is error
    assert limiter.borrowed_tokens == 0


async def test_a_cancellation_interrupts_the_call_and_waits_for_its_thread() -> None:
    limiter, told, back = CapacityLimiter(1), threading.Event(), threading.Event()

    def call() -> None:
        assert told.wait(5)
        back.set()

    async def interrupt() -> None:
        told.set()

    with anyio.fail_after(5), anyio.move_on_after(0.01) as scope:
        await interruptible(call, limiter=limiter, interrupt=interrupt)
    assert scope.cancelled_caught
    assert back.is_set()
    assert limiter.borrowed_tokens == 0


async def test_a_caller_that_waits_for_a_slot_leaves_at_once() -> None:
    limiter, release = CapacityLimiter(1), threading.Event()
    async with anyio.create_task_group() as group:

        async def hold() -> None:
            await interruptible(lambda: release.wait(5), limiter=limiter, interrupt=never)

        group.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01) as scope:
            await interruptible(lambda: None, limiter=limiter, interrupt=never)
        assert scope.cancelled_caught
        release.set()
