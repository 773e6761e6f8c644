"""The gate with slots, as a bulkhead: in threads, in synchronous code on a loop, and shared by several loops."""

import asyncio
import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from cqox.errors import BulkheadFull, DeadlineExceeded, Rejected
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.tasks import open_task_group
from tests.resilience.limits.holding import counts, queue_up, take, take_blocking


def test_plain_code_is_limited_too() -> None:
    bulkhead = Bulkhead(1)
    with bulkhead, pytest.raises(BulkheadFull):
        take_blocking(bulkhead)
    assert counts(bulkhead) == (0, 0)


def test_threads_wait_and_never_more_run_than_there_are_slots() -> None:
    bulkhead, lock, running, most = Bulkhead(2, 100), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal running, most
        for _ in range(200):
            with bulkhead:
                with lock:
                    running += 1
                    most = max(most, running)
                with lock:
                    running -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = bulkhead.snapshot()
    assert most <= 2
    assert (snapshot.running, snapshot.queued, snapshot.admitted, snapshot.rejected) == (0, 0, 1600, 0)


def test_a_thread_waits_no_longer_than_its_deadline_allows() -> None:
    bulkhead = Bulkhead(1, 1)
    with bulkhead:
        with pytest.raises(DeadlineExceeded), deadline(0.01):
            take_blocking(bulkhead)
        assert counts(bulkhead) == (1, 0)
    assert bulkhead.snapshot().abandoned == 1


def test_a_thread_interrupted_while_it_waits_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, seconds: float) -> bool:
        raise KeyboardInterrupt

    bulkhead = Bulkhead(1, 1)
    monkeypatch.setattr("cqox.resilience.pipeline.waiter.ThreadWaiter.wait", interrupt)
    with bulkhead, pytest.raises(KeyboardInterrupt):
        take_blocking(bulkhead)
    assert counts(bulkhead) == (0, 0)


@pytest.mark.anyio
async def test_sync_code_on_a_loop_never_blocks_the_loop_that_may_hold_the_slot() -> None:
    bulkhead = Bulkhead(1, 5)
    async with bulkhead:
        with pytest.raises(BulkheadFull):
            take_blocking(bulkhead)
    with bulkhead:
        assert counts(bulkhead) == (1, 0)


def test_a_callback_of_a_loop_never_blocks_the_loop_that_may_hold_the_slot() -> None:
    async def main() -> None:
        bulkhead, rate, refused = Bulkhead(1, 5), RateLimit(1, max_wait=5.0), list[str]()

        def callback() -> None:
            for gate in (bulkhead, rate):
                try:
                    with deadline(0.2), gate:
                        pass
                except (Rejected, DeadlineExceeded) as error:
                    refused.append(type(error).__name__)

        async with bulkhead, rate:
            asyncio.get_running_loop().call_soon(callback)
            await anyio.sleep(0.1)
        assert refused == ["BulkheadFull", "RateLimited"]

    asyncio.run(main())


@pytest.mark.anyio
async def test_a_slot_given_back_by_a_thread_reaches_a_waiting_task_and_the_other_way_round() -> None:
    bulkhead, order = Bulkhead(1, 5), list[str]()

    def in_a_thread() -> None:
        with bulkhead:
            order.append("thread")

    async with open_task_group() as group:
        await anyio.to_thread.run_sync(take_blocking, bulkhead)
        group.start_soon(queue_up, bulkhead, order, "task")
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(bulkhead.release)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(in_a_thread)
    assert order == ["task", "thread"]
    assert counts(bulkhead) == (0, 0)


def test_one_bulkhead_serves_an_asyncio_loop_a_trio_loop_and_threads_at_once() -> None:
    bulkhead, lock, running, most, served = Bulkhead(2, 1000), threading.Lock(), 0, 0, 0

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)

    def leave() -> None:
        nonlocal running, served
        with lock:
            running -= 1
            served += 1

    async def call() -> None:
        for _ in range(20):
            async with bulkhead:
                enter()
                await anyio.lowlevel.checkpoint()
                leave()

    async def loop() -> None:
        async with open_task_group() as group:
            for _ in range(10):
                group.start_soon(call)

    def thread() -> None:
        for _ in range(100):
            with bulkhead:
                enter()
                leave()

    workers = [
        threading.Thread(target=anyio.run, args=(loop,), kwargs={"backend": backend}) for backend in ("asyncio", "trio")
    ]
    workers += [threading.Thread(target=thread) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)
    assert (most, served) == (2, 800)
    assert counts(bulkhead) == (0, 0)


def test_a_slot_handed_to_a_task_whose_loop_has_died_goes_to_the_next() -> None:
    bulkhead = Bulkhead(1, 5)
    take_blocking(bulkhead)
    loop = asyncio.new_event_loop()
    task = loop.create_task(take(bulkhead))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert counts(bulkhead) == (1, 1)
    bulkhead.release()
    assert counts(bulkhead) == (0, 0)
    snapshot = bulkhead.snapshot()
    assert (snapshot.admitted, snapshot.abandoned) == (1, 1)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.get_coro().close()  # type: ignore[union-attr]
    assert bulkhead.snapshot() == snapshot
