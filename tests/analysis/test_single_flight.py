from collections.abc import Callable, Mapping

import anyio
import pytest

from cqox.analysis.single_flight import SingleFlight, Waiters, fresh
from cqox.errors import BulkheadFull, InvalidRequest
from cqox.tasks import open_task_group
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


class Computation:
    """Counts its runs and ends on command."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.finish = anyio.Event()
        self.failure: Exception | None = None

    async def __call__(self, waiters: Waiters) -> int:
        self.runs += 1
        waiters.report({"step": "started"})
        try:
            await self.finish.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        waiters.report({"step": "ended"})
        return 42


async def test_many_that_ask_at_once_share_one_run() -> None:
    computation, answers = Computation(), list[tuple[int, bool]]()

    async def ask(flights: SingleFlight[int]) -> None:
        answers.append(await flights.join("k", computation))

    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        async with open_task_group() as requests:
            for _ in range(20):
                requests.start_soon(ask, flights)
            await anyio.wait_all_tasks_blocked()
            computation.finish.set()
        assert len(flights) == 0
    assert computation.runs == 1
    assert sorted(answers) == [(42, False)] * 19 + [(42, True)]


async def test_other_keys_fly_on_their_own_and_a_key_flies_again_after_landing() -> None:
    computation = Computation()
    computation.finish.set()
    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        for key in ("a", "b", "a"):
            assert await flights.join(key, computation) == (42, True)
    assert computation.runs == 3


async def ask_within(
    scope: anyio.CancelScope, flights: SingleFlight[int], computation: Computation, answers: list[int]
) -> None:
    with scope:
        answers.append((await flights.join("k", computation, deadline=scope.deadline))[0])


async def test_the_first_to_ask_may_leave_and_the_others_still_get_the_value() -> None:
    computation, answers = Computation(), list[int]()
    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        async with open_task_group() as requests:
            for scope in (first, second):
                requests.start_soon(ask_within, scope, flights, computation, answers)
                await anyio.wait_all_tasks_blocked()
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            assert computation.cancelled == 0
            computation.finish.set()
    assert answers == [42]
    assert first.cancelled_caught


async def test_the_last_to_leave_ends_the_computation_and_the_next_starts_again() -> None:
    computation = Computation()
    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        with anyio.move_on_after(0.01):
            await flights.join("k", computation)
        await anyio.wait_all_tasks_blocked()
        assert computation.cancelled == 1
        assert len(flights) == 0
        computation.finish.set()
        assert await flights.join("k", computation) == (42, True)


async def test_who_comes_while_the_last_one_leaves_does_not_board_the_ending_flight() -> None:
    computation = Computation()
    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        async with open_task_group() as requests:
            requests.start_soon(flights.join, "k", computation)
            await anyio.wait_all_tasks_blocked()
            requests.cancel_scope.cancel()
        computation.finish.set()
        with anyio.fail_after(PATIENCE_SECONDS):
            assert (await flights.join("k", computation))[0] == 42


async def test_who_comes_while_a_flight_whose_time_is_over_winds_down_gets_one_of_its_own() -> None:
    ending, ended, left = anyio.Event(), anyio.Event(), anyio.CancelScope()
    computation, answers = Computation(), list[tuple[int, bool]]()

    async def slow_to_end(waiters: Waiters) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            ending.set()
            with anyio.CancelScope(shield=True):
                await ended.wait()
        raise AssertionError

    async with open_task_group() as app:
        flights = SingleFlight[int](app)

        async def late() -> None:
            with left:
                await flights.join("k", slow_to_end, deadline=anyio.current_time())

        async def ask() -> None:
            answers.append(await flights.join("k", computation))

        with anyio.fail_after(PATIENCE_SECONDS):
            async with open_task_group() as requests:
                requests.start_soon(late)
                await ending.wait()
                # The late one is still aboard, and leaves when the other waits for its own flight.
                requests.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                ended.set()
                left.cancel()
                await anyio.wait_all_tasks_blocked()
                assert computation.runs == 1
                assert len(flights) == 1
                computation.finish.set()
    assert answers == [(42, True)]


async def test_the_flight_runs_under_the_longest_deadline_of_those_who_wait_now() -> None:
    computation = Computation()
    async with open_task_group() as app:
        flights = SingleFlight[int](app)
        now = anyio.current_time()
        short, long = anyio.CancelScope(deadline=now + 100), anyio.CancelScope(deadline=now + 500)
        async with open_task_group() as requests:
            requests.start_soon(ask_within, short, flights, computation, [])
            await anyio.wait_all_tasks_blocked()
            flight = flights._flights["k"].scope
            assert flight.deadline == short.deadline
            requests.start_soon(ask_within, long, flights, computation, [])
            await anyio.wait_all_tasks_blocked()
            assert flight.deadline == long.deadline
            assert 400 < flights._flights["k"].seconds_left() <= 500
            long.cancel()
            await anyio.wait_all_tasks_blocked()
            assert flight.deadline == short.deadline
            short.cancel()
    assert computation.cancelled == 1


async def test_each_waiter_gets_an_exception_object_of_its_own() -> None:
    computation, caught = Computation(), list[InvalidRequest]()
    computation.failure = InvalidRequest("no", field="f", choices=["a"])

    async with open_task_group() as app:
        flights = SingleFlight[int](app)

        async def ask() -> None:
            try:
                await flights.join("k", computation)
            except InvalidRequest as error:
                caught.append(error)

        async with open_task_group() as requests:
            for _ in range(3):
                requests.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            computation.finish.set()
    assert len({id(error) for error in caught}) == 3
    assert all((error.detail, error.field, error.choices) == ("no", "f", ("a",)) for error in caught)
    assert all(error.__cause__ is computation.failure for error in caught)


async def test_every_waiter_receives_every_step_however_late_it_joined() -> None:
    computation = Computation()
    received: list[list[str]] = [[], []]

    def recording(number: int) -> Callable[[Mapping[str, object]], None]:
        return lambda step: received[number].append(str(step["step"]))

    async with open_task_group() as app:
        flights = SingleFlight[int](app)

        async def ask(number: int) -> None:
            await flights.join("k", computation, on_step=recording(number))

        async with open_task_group() as requests:
            requests.start_soon(ask, 0)
            await anyio.wait_all_tasks_blocked()
            requests.start_soon(ask, 1)
            await anyio.wait_all_tasks_blocked()
            computation.finish.set()
    assert received == [["started", "ended"], ["started", "ended"]]


def test_a_fresh_exception_keeps_class_message_and_attributes_alone() -> None:
    error = BulkheadFull("engine", retry_after=3.0)
    error.add_note("seen")
    copy = fresh(error)
    assert copy is not error
    assert (type(copy), str(copy), copy.policy, copy.retry_after) == (BulkheadFull, str(error), "engine", 3.0)
    assert copy.__traceback__ is None
