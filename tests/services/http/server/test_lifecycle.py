import pytest
import trio
import trio.testing

from cqox.tasks import open_task_group
from services.http.server.lifecycle import InFlight, Lifecycle, Stage
from tests.waiting import PATIENCE_SECONDS


def test_the_stages_follow_each_other_and_draining_is_the_last():
    lifecycle = Lifecycle()
    assert lifecycle.stage is Stage.STARTING
    lifecycle.warmed()
    assert lifecycle.stage is Stage.READY
    lifecycle.draining.set()
    lifecycle.warmed()
    assert lifecycle.stage is Stage.DRAINING


def test_the_first_failure_is_the_one_that_is_kept():
    lifecycle, first = Lifecycle(), ValueError("first")
    lifecycle.fail(first)
    lifecycle.fail(ValueError("second"))
    assert lifecycle.failure is first
    assert lifecycle.failed.is_set()


@pytest.mark.trio
async def test_waiting_for_idle_ends_with_the_last_request_however_many_came_meanwhile():
    in_flight, idle = InFlight(), trio.Event()
    gates = [trio.Event() for _ in range(3)]

    async def request(number: int) -> None:
        with in_flight.admit(f"GET /{number}"):
            await gates[number].wait()

    async def wait() -> None:
        await in_flight.wait_idle()
        idle.set()

    async with open_task_group() as group:
        group.start_soon(request, 0)
        await trio.testing.wait_all_tasks_blocked()
        group.start_soon(wait)
        group.start_soon(request, 1)
        await trio.testing.wait_all_tasks_blocked()
        gates[0].set()
        group.start_soon(request, 2)
        await trio.testing.wait_all_tasks_blocked()
        gates[1].set()
        await trio.testing.wait_all_tasks_blocked()
        assert not idle.is_set()
        gates[2].set()
        with trio.fail_after(PATIENCE_SECONDS):
            await idle.wait()


@pytest.mark.trio
async def test_a_request_that_fails_is_no_longer_in_flight():
    in_flight = InFlight()
    with pytest.raises(ValueError, match="x"), in_flight.admit("GET /"):
        raise ValueError("x")
    assert len(in_flight) == 0
    await in_flight.wait_idle()


@pytest.mark.trio
async def test_cutting_cancels_what_is_in_flight_and_counts_it():
    in_flight = InFlight()

    async def request() -> None:
        with in_flight.admit("GET /slow") as ticket, ticket.scope:
            await trio.sleep_forever()

    async with open_task_group() as group:
        group.start_soon(request)
        group.start_soon(request)
        await trio.testing.wait_all_tasks_blocked()
        assert in_flight.cut_all() == ("GET /slow", "GET /slow")
    assert in_flight.cut == 2
    assert in_flight.cut_all() == ()
