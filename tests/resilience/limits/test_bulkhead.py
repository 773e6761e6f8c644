"""The bulkhead: concurrency limit, queue order, and no lost slots."""

import contextlib
from random import Random

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from cqox.errors import BulkheadFull, DeadlineExceeded
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.runtime.criticality import Criticality
from cqox.tasks import open_task_group
from tests.resilience.limits.holding import counts, hold, queue_up, take


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
