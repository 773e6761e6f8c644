import anyio
import pytest
import trio

from cqox.analysis.admission import Admission
from cqox.errors import BulkheadFull
from cqox.resilience.runtime.criticality import Criticality, criticality
from cqox.tasks import open_task_group
from cqox.telemetry import metric_definitions
from tests.measured import Measured

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


async def hold(admission: Admission, release: anyio.Event) -> None:
    async with admission.slot():
        await release.wait()


async def test_no_more_run_at_once_than_there_are_slots_and_the_rest_wait_in_order() -> None:
    admission, order = Admission(size=1, max_queued=3), list[int]()

    async def take(number: int) -> None:
        async with admission.slot():
            order.append(number)
            assert admission.running == 1
            await anyio.lowlevel.checkpoint()

    async with open_task_group() as group:
        for number in range(4):
            group.start_soon(take, number)
            await anyio.lowlevel.checkpoint()
    assert sorted(order) == [0, 1, 2, 3]
    assert admission.running == admission.queued == 0


async def test_a_full_queue_refuses_with_the_time_that_the_queue_will_take() -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=1, now=clock)
    async with admission.slot():
        clock.time += 10.0
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull) as caught:
            async with admission.slot():
                raise AssertionError("it was let in")
        release.set()
    assert caught.value.retry_after == pytest.approx(20.0)
    assert admission.refused == 1


async def test_whether_there_is_any_place_can_be_asked_before_work_is_taken_on() -> None:
    admission, release = Admission(size=1, max_queued=1), anyio.Event()
    async with open_task_group() as group:
        for _ in range(2):
            admission.refuse_if_full()
            group.start_soon(hold, admission, release)
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull) as caught:
            admission.refuse_if_full()
        release.set()
    assert caught.value.retry_after >= 1
    assert admission.refused == 1
    admission.refuse_if_full()


@pytest.mark.parametrize("seconds_left", [5.0, 19.0])
async def test_a_request_that_would_miss_its_deadline_is_refused_at_once(seconds_left: float) -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=100, now=clock)
    async with admission.slot():
        clock.time += 10.0
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull) as caught:
            async with admission.slot(seconds_left=lambda: seconds_left):
                raise AssertionError("it was let in")
        assert caught.value.retry_after == pytest.approx(10.0)
        release.set()


async def test_who_can_be_served_in_time_waits_and_a_free_slot_is_given_to_anybody() -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=100, now=clock)
    async with admission.slot():
        clock.time += 10.0
    async with admission.slot(seconds_left=lambda: 1.0):
        pass
    admission._learn(10.0)
    seconds_left = 3.0 * admission.service_seconds
    served = False

    async def wait() -> None:
        nonlocal served
        async with admission.slot(seconds_left=lambda: seconds_left):
            served = True

    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert admission.queued == 1
        release.set()
    assert served


async def test_a_request_that_missed_its_deadline_in_the_queue_is_refused_and_takes_no_slot() -> None:
    clock, release, refused = Clock(), anyio.Event(), list[BulkheadFull]()
    admission = Admission(size=1, max_queued=100, now=clock)
    async with admission.slot():
        clock.time += 10.0

    async def wait() -> None:
        try:
            async with admission.slot(seconds_left=lambda: 30.0 - clock.time):
                raise AssertionError("it was let in")
        except BulkheadFull as error:
            refused.append(error)

    clock.time = 0.0
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert admission.queued == 1
        clock.time = 20.5
        release.set()
    assert len(refused) == admission.refused == 1
    assert admission.running == 0
    async with admission.slot():
        pass


async def test_where_times_vary_who_queues_needs_more_of_it() -> None:
    steady, varied = (Admission(size=1, max_queued=100) for _ in range(2))
    for number in range(40):
        steady._learn(10.0)
        varied._learn(5.0 if number % 2 else 15.0)
    release, seconds_left = anyio.Event(), 30.0
    async with open_task_group() as group:
        group.start_soon(hold, varied, release)
        group.start_soon(hold, steady, release)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            async with varied.slot(seconds_left=lambda: seconds_left):
                raise AssertionError("it was let in")
        with anyio.move_on_after(0.01) as waiting:
            async with steady.slot(seconds_left=lambda: seconds_left):
                raise AssertionError("it was let in")
        assert waiting.cancelled_caught
        release.set()


async def test_a_computation_that_was_cut_teaches_that_it_takes_longer() -> None:
    clock = Clock()
    admission = Admission(size=1, max_queued=0, now=clock)

    async def cut(seconds: float) -> None:
        with anyio.CancelScope() as scope:
            async with admission.slot():
                clock.time += seconds
                scope.cancel()
                await anyio.lowlevel.checkpoint()

    async with admission.slot():
        clock.time += 2.0
    await cut(1.0)
    assert admission.service_seconds == 2.0
    await cut(4.0)
    assert admission.service_seconds == pytest.approx(2.4)


async def test_a_single_long_computation_moves_the_estimate_by_a_bounded_part() -> None:
    admission = Admission(size=1, max_queued=0)
    admission._learn(1.0)
    admission._learn(3_600.0)
    assert admission.service_seconds == pytest.approx(1.6)


async def test_a_rejection_from_within_the_block_is_not_taken_for_ours() -> None:
    admission, inner = Admission(size=1, max_queued=0), BulkheadFull("another")
    with pytest.raises(BulkheadFull) as caught:
        async with admission.slot():
            raise inner
    assert caught.value is inner
    assert admission.running == admission.refused == 0


async def test_a_computation_that_failed_teaches_nothing_and_leaves_its_slot() -> None:
    clock = Clock()
    admission = Admission(size=1, max_queued=0, now=clock)

    async def fail() -> None:
        async with admission.slot():
            clock.time += 100.0
            raise KeyError("no")

    with pytest.raises(KeyError):
        await fail()
    assert admission.service_seconds is None
    assert admission.running == 0


async def test_a_waiter_that_is_cancelled_gives_its_place_up() -> None:
    admission, release = Admission(size=1, max_queued=1), anyio.Event()
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01):
            await hold(admission, release)
        assert admission.queued == 0
        release.set()
    assert admission.running == 0


async def test_the_service_time_follows_what_computations_take_of_late() -> None:
    clock = Clock()
    admission = Admission(size=1, max_queued=0, now=clock)
    for seconds in [1.0] + [5.0] * 40:
        async with admission.slot():
            clock.time += seconds
    assert admission.service_seconds == pytest.approx(5.0, abs=0.01)


@pytest.mark.trio
async def test_the_next_slot_is_of_the_tenant_that_has_none(autojump_clock: object) -> None:
    admission, order = Admission(size=2, max_queued=64, now=trio.current_time), list[str]()

    async def compute(tenant: str) -> None:
        async with admission.slot(tenant):
            await trio.sleep(1.0)
            order.append(tenant)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(compute, "greedy")
        await trio.sleep(0.5)
        assert admission.expected_wait("other") == 0.0
        for _ in range(3):
            await compute("other")
    assert sorted(order[:9]) == ["greedy"] * 6 + ["other"] * 3
    assert order[2:4].count("other") == 1
    assert admission.running == 0


async def test_a_tenant_that_fills_the_queue_is_refused_alone_and_waits_longer_than_others() -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=8, now=clock)
    async with admission.slot("greedy"):
        clock.time += 10.0
    async with open_task_group() as group:

        async def wait() -> None:
            async with admission.slot("greedy"):
                await release.wait()

        for _ in range(9):
            group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            admission.refuse_if_full("greedy")
        admission.refuse_if_full("other")
        assert admission.expected_wait("greedy") == pytest.approx(90.0)
        assert admission.expected_wait("other") == pytest.approx(20.0)
        release.set()


def waits(measured: Measured) -> list[tuple[float, str]]:
    return [
        (value, str(labels["outcome"]))
        for name, value, labels in measured.values
        if name == metric_definitions.QUEUE_WAIT.name
    ]


async def test_waits_without_a_slot_are_recorded_as_those_that_end_in_one(measured: Measured) -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=2, now=clock)
    leaving = anyio.CancelScope()

    async def leave() -> None:
        with leaving:
            await hold(admission, release)

    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        clock.time += 5.0
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            await hold(admission, release)
        with pytest.raises(BulkheadFull):
            admission.refuse_if_full()
        clock.time += 2.0
        leaving.cancel()
        await anyio.wait_all_tasks_blocked()
        # Both refusals are none: who is refused on arrival has not waited.
        assert waits(measured) == [(0.0, "started"), (7.0, "gave_up")]
        release.set()
    assert waits(measured)[2:] == [(2.0, "started")]


async def test_a_refusal_for_the_deadline_is_no_wait(measured: Measured) -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=2, now=clock)
    async with admission.slot():
        clock.time += 10.0
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BulkheadFull):
            async with admission.slot(seconds_left=lambda: 5.0):
                raise AssertionError("it was let in")
        release.set()
    assert waits(measured) == [(0.0, "started"), (0.0, "started")]
    assert measured.of(metric_definitions.REJECTIONS) == [{"policy": "analyses", "reason": "Admission"}]


async def test_a_place_in_the_queue_that_a_more_critical_computation_takes_is_a_wait_that_was_refused(
    measured: Measured,
) -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=1, now=clock)

    async def sheddable() -> None:
        with criticality(Criticality.SHEDDABLE), pytest.raises(BulkheadFull):
            await hold(admission, release)

    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(sheddable)
        await anyio.wait_all_tasks_blocked()
        clock.time += 40.0
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        assert waits(measured) == [(0.0, "started"), (40.0, "refused")]
        release.set()
    assert waits(measured)[2:] == [(0.0, "started")]


async def test_a_turn_that_comes_too_late_for_the_deadline_is_a_wait_without_a_slot(measured: Measured) -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=2, now=clock)
    async with admission.slot():
        clock.time += 10.0
    left = [100.0]

    async def late() -> None:
        with pytest.raises(BulkheadFull):
            async with admission.slot(seconds_left=lambda: left[0]):
                raise AssertionError("it was let in")

    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(late)
        await anyio.wait_all_tasks_blocked()
        clock.time += 95.0
        left[0] = 5.0
        release.set()
    assert waits(measured) == [(0.0, "started"), (0.0, "started"), (95.0, "gave_up")]


async def test_the_oldest_wait_grows_while_nobody_gets_a_slot() -> None:
    clock, release = Clock(), anyio.Event()
    admission = Admission(size=1, max_queued=5, now=clock)
    async with open_task_group() as group:
        group.start_soon(hold, admission, release)
        await anyio.wait_all_tasks_blocked()
        clock.time += 100.0
        assert admission.oldest_wait == 0.0
        for _ in range(2):
            group.start_soon(hold, admission, release)
            await anyio.wait_all_tasks_blocked()
            clock.time += 10.0
        assert admission.oldest_wait == pytest.approx(20.0)
        release.set()
    assert admission.oldest_wait == 0.0
