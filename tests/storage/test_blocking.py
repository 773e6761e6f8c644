import threading
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from cqox.storage.blocking import Threads
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def one() -> AsyncIterator[Threads]:
    threads = Threads("test", 1)
    yield threads
    threads.close()


async def never() -> None:
    raise AssertionError("nothing was cancelled")


def alive(name: str) -> int:
    return sum(thread.name.startswith(f"{name}-") for thread in threading.enumerate())


async def test_the_result_and_the_exception_of_the_call_reach_the_caller_unchanged(one: Threads) -> None:
    assert await one.run(lambda: 7, interrupt=never) == 7
    error = KeyError("mine")

    def fail() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await one.run(fail, interrupt=never)
    assert caught.value is error
    assert await one.run(lambda: 8, interrupt=never) == 8
    assert one.unfinished == 0


async def test_a_cancellation_interrupts_the_call_and_waits_for_its_thread(one: Threads) -> None:
    interrupted, back = threading.Event(), threading.Event()

    def call() -> None:
        assert interrupted.wait(5)
        back.set()

    async def interrupt() -> None:
        interrupted.set()

    with anyio.fail_after(PATIENCE_SECONDS), anyio.move_on_after(0.01) as scope:
        await one.run(call, interrupt=interrupt)
    assert scope.cancelled_caught
    assert back.is_set()
    assert one.unfinished == 0


async def test_a_cancelled_caller_in_the_queue_returns_at_once_and_its_call_is_never_made(one: Threads) -> None:
    release, made = threading.Event(), list[int]()
    async with anyio.create_task_group() as group:

        async def hold() -> None:
            await one.run(lambda: release.wait(5), interrupt=never)

        group.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01) as scope:
            await one.run(lambda: made.append(1), interrupt=never)
        assert scope.cancelled_caught
        release.set()
    assert await one.run(lambda: made, interrupt=never) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_at_most_as_many_calls_as_threads_run_at_once_and_the_others_wait_in_fifo_order(count: int) -> None:
    threads = Threads("bounded", count)
    lock, running, most, order = threading.Lock(), 0, 0, list[int]()

    def call(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(number)
        threading.Event().wait(0.002)
        with lock:
            running -= 1

    async with anyio.create_task_group() as group:
        for number in range(30):

            async def ask(number: int = number) -> None:
                await threads.run(lambda: call(number), interrupt=never)

            group.start_soon(ask)
            await anyio.lowlevel.checkpoint()
    assert most == count
    assert alive("bounded") == count
    # Several threads take calls in this order and may begin them in another.
    assert (order if count == 1 else sorted(order)) == list(range(30))
    threads.close()
    with anyio.fail_after(PATIENCE_SECONDS):
        while alive("bounded"):
            await anyio.sleep(0.001)


async def test_threads_are_started_on_demand() -> None:
    threads = Threads("lazy", 8)
    assert alive("lazy") == 0
    for _ in range(5):
        await threads.run(lambda: None, interrupt=never)
    assert alive("lazy") == 1
    threads.close()


async def test_every_result_reaches_its_own_caller_under_many_cancellations() -> None:
    threads, wrong, left = Threads("storm", 4), list[int](), list[bool]()

    async def wait() -> None:
        """The call ends soon by itself."""

    async def ask(number: int) -> None:
        with anyio.move_on_after(number % 7 / 10_000) as scope:
            if (
                await threads.run(lambda: threading.Event().wait(number % 3 / 10_000) or number, interrupt=wait)
                != number
            ):
                wrong.append(number)
        left.append(scope.cancelled_caught)

    async with anyio.create_task_group() as group:
        for number in range(2_000):
            group.start_soon(ask, number)
    assert wrong == []
    assert threads.unfinished == 0
    assert any(left)
    assert await threads.run(lambda: "mine", interrupt=wait) == "mine"
    threads.close()
