"""The bulkhead that callers share, in virtual time."""

import threading

import anyio
import pytest
import trio

from cqox.errors import BulkheadFull
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from cqox.resilience.runtime.caller import caller
from cqox.resilience.runtime.criticality import Criticality, criticality
from cqox.tasks import open_task_group


async def use(bulkhead: FairBulkhead, name: str, seconds: float, ended: list[tuple[str, float]]) -> None:
    with caller(name):
        async with bulkhead:
            await trio.sleep(seconds)
            ended.append((name, trio.current_time()))


@pytest.mark.trio
async def test_a_caller_does_not_wait_for_the_queue_of_another(autojump_clock: object) -> None:
    bulkhead, ended = FairBulkhead(2, 100), list[tuple[str, float]]()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(use, bulkhead, "greedy", 1.0, ended)
        await trio.sleep(0.5)
        for _ in range(3):
            await use(bulkhead, "other", 1.0, ended)
    waits = [time - began for name, time in ended if name == "other"]
    # The first waits for a slot; then one is kept for it.
    assert waits == pytest.approx([2.0, 3.0, 4.0])
    assert (bulkhead.snapshot().running, bulkhead.snapshot().queued) == (0, 0)


@pytest.mark.trio
async def test_a_caller_that_waits_and_is_cancelled_keeps_nothing(autojump_clock: object) -> None:
    bulkhead, ended = FairBulkhead(1, 10), list[tuple[str, float]]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, bulkhead, "a", 5.0, ended)
        await trio.sleep(1)
        with trio.move_on_after(1):
            await use(bulkhead, "b", 1.0, ended)
        assert bulkhead.snapshot().queued == 0
        nursery.start_soon(use, bulkhead, "c", 1.0, ended)
    assert [name for name, _ in ended] == ["a", "c"]
    assert bulkhead.snapshot().running == 0


@pytest.mark.anyio
async def test_a_slot_granted_to_a_cancelled_call_goes_to_the_next() -> None:
    bulkhead, order = FairBulkhead(1, 10), list[str]()

    async def take(name: str, scope: anyio.CancelScope | None = None) -> None:
        with scope or anyio.CancelScope(), caller(name):
            async with bulkhead:
                order.append(name)

    scope = anyio.CancelScope()
    async with open_task_group() as group:
        with caller("first"):
            async with bulkhead:
                for name, each in (("cancelled", scope), ("next", None)):
                    group.start_soon(take, name, each)
                    await anyio.wait_all_tasks_blocked()
                # It is granted the slot before it can notice.
                scope.cancel()
    assert order == ["next"]
    assert bulkhead.snapshot().running == 0


@pytest.mark.anyio
async def test_a_full_queue_refuses_who_filled_it_and_admits_another() -> None:
    bulkhead = FairBulkhead(1, 2, name="analyses")
    async with open_task_group() as group:

        async def wait(name: str) -> None:
            with caller(name):
                async with bulkhead:
                    await anyio.sleep_forever()

        for name in ("a", "a", "a", "b"):
            group.start_soon(wait, name)
            await anyio.wait_all_tasks_blocked()
        assert bulkhead.snapshot().queued == 3
        with caller("a"):
            assert bulkhead.is_full()
            assert bulkhead.load() == 1.0
            with pytest.raises(BulkheadFull, match="analyses"):
                await bulkhead.__aenter__()
        with caller("c"):
            assert (bulkhead.is_full(), bulkhead.load(), bulkhead.queued_before()) == (False, 0.0, 2)
        group.cancel_scope.cancel()
    assert bulkhead.snapshot().running == 0


@pytest.mark.anyio
async def test_the_more_critical_calls_of_a_caller_come_first() -> None:
    bulkhead, order = FairBulkhead(1, 10), list[str]()

    async def take(name: str, level: Criticality) -> None:
        with criticality(level), caller("a"):
            async with bulkhead:
                order.append(name)

    async with open_task_group() as group:
        with caller("a"):
            async with bulkhead:
                group.start_soon(take, "later", Criticality.SHEDDABLE)
                group.start_soon(take, "first", Criticality.CRITICAL)
                await anyio.wait_all_tasks_blocked()
    assert order == ["first", "later"]


def test_threads_share_it_too() -> None:
    bulkhead, counts = FairBulkhead(2, 100), {"a": 0, "b": 0}

    def work(name: str) -> None:
        with caller(name):
            for _ in range(50):
                with bulkhead:
                    counts[name] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "a", "a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counts == {"a": 150, "b": 50}
    assert bulkhead.snapshot().running == 0


def test_more_slots_let_the_waiting_in() -> None:
    bulkhead = FairBulkhead(1, 4)
    bulkhead.reconfigure(max_concurrent=3)
    with caller("a"), bulkhead, bulkhead, bulkhead:
        assert bulkhead.snapshot().running == 3
