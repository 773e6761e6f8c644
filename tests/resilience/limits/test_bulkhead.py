"""The bulkhead: concurrency limit, queue order, and no lost slots."""

import asyncio
import contextlib
import threading
from random import Random

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from cqox.errors import BulkheadFull, DeadlineExceeded, Rejected
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.resilience.runtime.ambient_deadline import in_force
from cqox.resilience.runtime.criticality import Criticality, criticality
from cqox.tasks import open_task_group


def counts(bulkhead: Bulkhead) -> tuple[int, int]:
    snapshot = bulkhead.snapshot()
    return snapshot.running, snapshot.queued


async def take(bulkhead: Bulkhead) -> None:
    """Take a slot and keep it, as a call does that never ends."""
    bulkhead.admit(None) or await bulkhead.admit_waiting(None)


def take_blocking(bulkhead: Bulkhead) -> None:
    innermost = in_force()
    bulkhead.admit(innermost) or bulkhead.admit_blocking(innermost)


async def hold(bulkhead: Bulkhead, release: anyio.Event, order: list[str], name: str) -> None:
    async with bulkhead:
        order.append(name)
        await release.wait()


async def queue_up(bulkhead: Bulkhead, order: list[str], name: str, level: Criticality = Criticality.CRITICAL) -> None:
    with criticality(level):
        try:
            async with bulkhead:
                order.append(name)
                await anyio.lowlevel.checkpoint()
        except BulkheadFull:
            order.append(f"{name} refused")


@pytest.mark.parametrize(
    ("max_concurrent", "max_queued", "message"),
    [
        (0, 0, "max_concurrent must be an integer of at least 1, not 0"),
        (-1, 0, "max_concurrent must be an integer of at least 1, not -1"),
        (1.5, 0, "max_concurrent must be an integer of at least 1, not 1.5"),
        (True, 0, "max_concurrent must be an integer of at least 1, not True"),
        (1, -1, "max_queued must be an integer of at least 0, not -1"),
        (1, float("nan"), "max_queued must be an integer of at least 0, not nan"),
    ],
)
def test_nonsense_limits_are_refused_with_value_and_range(max_concurrent: int, max_queued: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bulkhead(max_concurrent, max_queued)
    with pytest.raises(ValueError, match=message):
        Bulkhead(1).reconfigure(max_concurrent=max_concurrent, max_queued=max_queued)


@pytest.mark.anyio
async def test_a_call_beyond_the_slots_is_refused_at_once_and_by_name() -> None:
    bulkhead = Bulkhead(2, name="engine")
    async with bulkhead, bulkhead:
        with pytest.raises(BulkheadFull, match="BulkheadFull for engine") as caught:
            await take(bulkhead)
    assert caught.value.policy == "engine"
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert counts(bulkhead) == (0, 0)


@pytest.mark.anyio
async def test_never_more_run_than_there_are_slots_and_all_get_their_turn() -> None:
    bulkhead, running, most, served = Bulkhead(3, 100), 0, 0, 0

    async def call(random: Random) -> None:
        nonlocal running, most, served
        async with bulkhead:
            running += 1
            most = max(most, running)
            for _ in range(random.randrange(4)):
                await anyio.lowlevel.checkpoint()
            running -= 1
            served += 1

    async with open_task_group() as group:
        for seed in range(100):
            group.start_soon(call, Random(seed))
    assert (most, served) == (3, 100)
    assert counts(bulkhead) == (0, 0)
    assert bulkhead.snapshot().admitted == 100


@pytest.mark.anyio
async def test_who_waited_longest_comes_next() -> None:
    bulkhead, order = Bulkhead(1, 10), list[str]()
    async with open_task_group() as group:
        async with bulkhead:
            for name in "abcdef":
                group.start_soon(queue_up, bulkhead, order, name)
                await anyio.wait_all_tasks_blocked()
    assert order == list("abcdef")


@pytest.mark.anyio
async def test_a_newcomer_does_not_overtake_who_was_handed_the_slot_but_has_not_run_yet() -> None:
    bulkhead, order = Bulkhead(1, 10), list[str]()
    async with open_task_group() as group:
        await take(bulkhead)
        group.start_soon(queue_up, bulkhead, order, "waited")
        await anyio.wait_all_tasks_blocked()
        bulkhead.release()
        await queue_up(bulkhead, order, "newcomer")
    assert order == ["waited", "newcomer"]


@pytest.mark.anyio
async def test_the_more_critical_come_first_and_the_least_critical_make_room() -> None:
    bulkhead, order = Bulkhead(1, 3), list[str]()
    arrivals = [
        ("low", Criticality.SHEDDABLE),
        ("low too", Criticality.SHEDDABLE),
        ("normal", Criticality.CRITICAL),
        ("high", Criticality.CRITICAL_PLUS),
        ("another low", Criticality.SHEDDABLE),
    ]
    async with open_task_group() as group:
        async with bulkhead:
            for name, level in arrivals:
                group.start_soon(queue_up, bulkhead, order, name, level)
                await anyio.wait_all_tasks_blocked()
    assert order == ["low too refused", "another low refused", "high", "normal", "low"]
    assert bulkhead.snapshot().rejected == 2


@pytest.mark.anyio
async def test_a_waiter_that_is_cancelled_leaves_its_place_and_the_others_their_order() -> None:
    bulkhead, order = Bulkhead(1, 10), list[str]()
    async with open_task_group() as group:
        async with bulkhead:
            group.start_soon(queue_up, bulkhead, order, "first")
            await anyio.wait_all_tasks_blocked()
            async with open_task_group() as doomed:
                doomed.start_soon(queue_up, bulkhead, order, "doomed")
                await anyio.wait_all_tasks_blocked()
                group.start_soon(queue_up, bulkhead, order, "last")
                await anyio.wait_all_tasks_blocked()
                doomed.cancel_scope.cancel()
            assert counts(bulkhead) == (1, 2)
    assert order == ["first", "last"]
    assert bulkhead.snapshot().abandoned == 1


@pytest.mark.anyio
async def test_a_waiter_cancelled_in_the_moment_it_was_handed_the_slot_passes_it_on() -> None:
    bulkhead, order = Bulkhead(1, 10), list[str]()
    async with open_task_group() as group:
        async with open_task_group() as doomed:
            await take(bulkhead)
            doomed.start_soon(queue_up, bulkhead, order, "doomed")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(queue_up, bulkhead, order, "next")
            await anyio.wait_all_tasks_blocked()
            doomed.cancel_scope.cancel()
            bulkhead.release()
    assert order == ["next"]
    snapshot = bulkhead.snapshot()
    assert (snapshot.running, snapshot.queued, snapshot.admitted, snapshot.abandoned) == (0, 0, 2, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(8))
async def test_a_storm_of_cancellations_loses_no_slot_and_makes_none(seed: int) -> None:
    random, bulkhead, running, arrivals = Random(seed), Bulkhead(3, 20), 0, 300

    async def call(scope: anyio.CancelScope, patience: int) -> None:
        nonlocal running
        with scope:
            async with bulkhead:
                running += 1
                assert running <= 3
                try:
                    for _ in range(patience):
                        await anyio.lowlevel.checkpoint()
                finally:
                    running -= 1

    async def call_or_refused(scope: anyio.CancelScope, patience: int) -> None:
        with contextlib.suppress(BulkheadFull):
            await call(scope, patience)

    scopes: list[anyio.CancelScope] = []
    async with open_task_group() as group:
        for _ in range(arrivals):
            scopes.append(anyio.CancelScope())
            group.start_soon(call_or_refused, scopes[-1], random.randrange(5))
            if random.random() < 0.5:
                await anyio.lowlevel.checkpoint()
            if random.random() < 0.6:
                random.choice(scopes).cancel()
    snapshot = bulkhead.snapshot()
    assert (snapshot.running, snapshot.queued) == (0, 0)
    # A call whose scope was cancelled before its first step may still be admitted or refused: all arrive.
    assert snapshot.admitted + snapshot.rejected + snapshot.abandoned == arrivals
    assert snapshot.abandoned > 0


@pytest.mark.anyio
async def test_raising_the_limit_admits_waiters_and_lowering_it_revokes_no_slot() -> None:
    bulkhead, order, release = Bulkhead(1, 10), list[str](), anyio.Event()
    async with open_task_group() as group:
        for name in "abc":
            group.start_soon(hold, bulkhead, release, order, name)
            await anyio.wait_all_tasks_blocked()
        bulkhead.reconfigure(max_concurrent=2)
        await anyio.wait_all_tasks_blocked()
        assert order == ["a", "b"]
        bulkhead.reconfigure(max_concurrent=1)
        assert counts(bulkhead) == (2, 1)
        release.set()
    assert order == ["a", "b", "c"]
    assert counts(bulkhead) == (0, 0)
    assert bulkhead.snapshot().max_queued == 10


@pytest.mark.anyio
async def test_a_shorter_queue_refuses_those_who_have_no_place_any_more() -> None:
    bulkhead, order = Bulkhead(1, 10), list[str]()
    async with open_task_group() as group:
        async with bulkhead:
            for name in "abc":
                group.start_soon(queue_up, bulkhead, order, name)
                await anyio.wait_all_tasks_blocked()
            bulkhead.reconfigure(max_queued=1)
            await anyio.wait_all_tasks_blocked()
    assert order == ["c refused", "b refused", "a"] or order == ["b refused", "c refused", "a"]


@pytest.mark.anyio
async def test_a_deadline_ends_the_waiting_and_gives_up_the_place() -> None:
    bulkhead = Bulkhead(1, 1)
    async with bulkhead:
        with pytest.raises(DeadlineExceeded), deadline(10.0):
            await take(bulkhead)
        assert counts(bulkhead) == (1, 0)


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
