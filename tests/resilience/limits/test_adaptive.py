"""The adaptive limit: its adjustment and its bounds."""

import asyncio
import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen, DeadlineExceeded
from cqox.resilience.limits.adaptive import AdaptiveLimit, Aimd
from cqox.resilience.pipeline.permit import NO_RESULT, Permit, TimeSpent
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.tasks import open_task_group
from tests.resilience.conftest import Time


def admit(limit: AdaptiveLimit, calls: int) -> list[Permit]:
    permits = [limit.admit(None) for _ in range(calls)]
    return [permit for permit in permits if permit is not None]


def round_of(limit: AdaptiveLimit, error: BaseException | None = None, calls: int | None = None) -> None:
    """Run as many concurrent calls as the limit allows, all with the same outcome."""
    for permit in admit(limit, limit.limit if calls is None else calls):
        if error is None:
            permit.succeed(NO_RESULT)
        else:
            permit.fail(error)


def steady_successes(limit: AdaptiveLimit, rounds: int) -> None:
    """Keep every slot in use; each of them ends `rounds` times."""
    permits = admit(limit, limit.limit)
    for _ in range(rounds * limit.limit):
        permits.pop().succeed(NO_RESULT)
        permits += admit(limit, limit.limit - len(permits))
    for permit in permits:
        permit.fail(ValueError("moves nothing"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial_limit": 0}, "initial_limit must be an integer of at least 1, not 0"),
        ({"initial_limit": 300}, "initial_limit must be at most max_limit, which is 200, not 300"),
        ({"min_limit": 0}, "min_limit must be an integer of at least 1, not 0"),
        ({"initial_limit": 5, "min_limit": 9, "max_limit": 8}, "max_limit must be an integer of at least 9, not 8"),
        ({"max_queued": -1}, "max_queued must be an integer of at least 0, not -1"),
        ({"increase": 0.0}, "increase must be above 0, not 0.0"),
        ({"increase": math.nan}, "increase must be a finite number of at least 0, not nan"),
        ({"decrease": 1.0}, "decrease must be below 1, not 1.0"),
        ({"decrease": 0.0}, "decrease must be a share above 0 and at most 1, not 0.0"),
        ({"slow_call_seconds": 0.0}, "slow_call_seconds must be a number of seconds above 0"),
    ],
)
def test_nonsense_settings_are_refused_with_value_and_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaptiveLimit(**settings)  # type: ignore[arg-type]


def test_a_round_of_successes_adds_about_one_slot() -> None:
    limit = AdaptiveLimit(20)
    steady_successes(limit, 1)
    assert 20 <= limit.limit <= 21
    steady_successes(limit, 10)
    assert 27 <= limit.limit <= 31


def test_an_overload_cuts_it_once_for_all_calls_that_were_under_way_together() -> None:
    limit = AdaptiveLimit(20)
    round_of(limit, AttemptTimeout(1.0))
    assert limit.limit == 18
    assert limit.snapshot().cuts == 1
    round_of(limit, TimeoutError())
    assert limit.limit == 16


@pytest.mark.parametrize(
    "error", [ValueError(), ConnectionRefusedError(), CircuitOpen("engine"), KeyboardInterrupt(), SystemExit()]
)
def test_other_failures_and_cancellations_do_not_move_it(error: BaseException) -> None:
    limit = AdaptiveLimit(20)
    round_of(limit, error)
    assert limit.limit == 20
    assert limit.snapshot().running == 0


def test_it_never_falls_below_its_least_however_long_the_storm() -> None:
    limit = AdaptiveLimit(20, min_limit=3)
    for _ in range(1000):
        round_of(limit, TimeoutError())
    assert limit.limit == 3
    lowest = AdaptiveLimit(20, decrease=0.01)
    for _ in range(1000):
        round_of(lowest, TimeoutError())
    assert lowest.limit == 1
    assert admit(lowest, 1)


def test_it_never_grows_above_its_most() -> None:
    limit = AdaptiveLimit(5, max_limit=6)
    for _ in range(1000):
        round_of(limit)
    assert limit.limit == 6


def test_it_does_not_grow_while_less_than_half_of_it_is_in_use() -> None:
    limit = AdaptiveLimit(20)
    for _ in range(10_000):
        round_of(limit, calls=1)
    assert limit.limit == 20


def test_after_a_storm_it_finds_its_way_back() -> None:
    limit = AdaptiveLimit(50)
    for _ in range(100):
        round_of(limit, TimeoutError())
    assert limit.limit == 1
    for _ in range(60):
        steady_successes(limit, 1)
    assert limit.limit >= 50


def test_a_slow_success_is_an_overload() -> None:
    time = Time()
    limit = AdaptiveLimit(20, slow_call_seconds=2.0, clock=time)
    permits = admit(limit, 20)
    time.now += 1.9
    permits.pop().succeed(NO_RESULT)
    assert limit.limit == 20
    time.now += 0.1
    permits.pop().succeed(NO_RESULT)
    assert limit.limit == 18


def test_an_invalid_overload_predicate_is_rejected() -> None:
    with pytest.raises(ValueError, match="overloads must be callable, not 5"):
        AdaptiveLimit(overloads=5)  # type: ignore[arg-type]


def test_what_counts_as_an_overload_can_be_said() -> None:
    limit = AdaptiveLimit(20, overloads=lambda error: isinstance(error, ZeroDivisionError))
    round_of(limit, TimeoutError())
    assert limit.limit == 20
    round_of(limit, ZeroDivisionError())
    assert limit.limit == 18


def test_a_judgement_that_raises_gives_the_slot_back() -> None:
    def judge(error: Exception) -> bool:
        raise RuntimeError("judge")

    limit = AdaptiveLimit(20, overloads=judge)
    (permit,) = admit(limit, 1)
    with pytest.raises(RuntimeError, match="judge"):
        permit.fail(ValueError())
    assert limit.snapshot().running == 0


def test_beyond_the_limit_calls_are_refused_by_its_name() -> None:
    limit = AdaptiveLimit(2, name="engine")
    admit(limit, 2)
    with pytest.raises(BulkheadFull, match="engine"):
        limit.admit(None)
    assert limit.snapshot().rejected == 1


@pytest.mark.anyio
async def test_a_limit_that_grows_lets_waiters_in() -> None:
    limit, order = AdaptiveLimit(2, max_queued=10, increase=2.0), list[str]()

    async def call(name: str) -> None:
        async with limit:
            order.append(name)
            await anyio.lowlevel.checkpoint()

    first, second = admit(limit, 2)
    async with open_task_group() as group:
        for name in "abc":
            group.start_soon(call, name)
            await anyio.wait_all_tasks_blocked()
        first.succeed(NO_RESULT)
        assert limit.limit == 3
        assert limit.snapshot().running == 3
        second.succeed(NO_RESULT)
    assert sorted(order) == ["a", "b", "c"]
    assert limit.snapshot().running == 0


@pytest.mark.parametrize(
    ("error", "seconds", "over", "expected"),
    [
        (asyncio.CancelledError(), 1.5, True, 18),
        (asyncio.CancelledError(), 0.2, True, 20),
        (asyncio.CancelledError(), 1.5, False, 20),
        (DeadlineExceeded(5.0), 1.5, True, 18),
        (DeadlineExceeded(5.0), 0.2, True, 20),
        (KeyboardInterrupt(), 1.5, True, 20),
        (ValueError(), 1.5, True, 20),
    ],
)
def test_a_deadline_that_passed_is_an_overload_if_the_callee_had_its_fair_share(
    error: BaseException, seconds: float, over: bool, expected: int
) -> None:
    limit = AdaptiveLimit(20)
    (permit,) = admit(limit, 1)
    time = Time()
    ambient = AmbientDeadline(5.0, None, time)
    time.now += 5.0 if over else 4.0
    permit.fail_within_deadline(TimeSpent(ambient, seconds, math.inf), error)
    assert limit.limit == expected
    assert limit.snapshot().running == 0


def test_other_bounds_hold_from_now_on() -> None:
    limit = AdaptiveLimit(20)
    limit.reconfigure(max_limit=10)
    assert limit.limit == 10
    limit.reconfigure(min_limit=12, max_limit=15)
    assert limit.limit == 12
    before = limit.snapshot()
    with pytest.raises(ValueError, match="max_limit must be an integer of at least 12, not 2"):
        limit.reconfigure(max_limit=2)
    assert limit.snapshot() == before


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 5)), max_size=200),
    st.floats(0.001, 0.999),
    st.floats(0.001, 50.0),
)
def test_no_history_takes_it_out_of_its_bounds(
    start: int, history: list[tuple[bool, int, int]], decrease: float, increase: float
) -> None:
    aimd = Aimd(start, least=1, most=50, increase=increase, decrease=decrease)
    for succeeded, running, age in history:
        before = aimd.limit
        if succeeded:
            aimd.succeeded(running)
            assert aimd.limit == before or running * 2 >= before
        else:
            aimd.overloaded(aimd.generation - age)
            assert aimd.limit == before or age == 0
        assert 1.0 <= aimd.limit <= 50.0
