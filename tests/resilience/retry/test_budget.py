"""The retry budget: its bounds, and that first attempts are never denied."""

import math
import threading

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience.retry.budget import RetryBudget
from cqox.tasks import open_task_group
from tests.resilience.conftest import Time, run_async


def spend(budget: RetryBudget) -> int:
    """Take all that is there."""
    taken = 0
    while budget.may_retry():
        taken += 1
    return taken


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.2", True])
def test_nonsense_settings_are_refused_with_value_and_range(value: float) -> None:
    with pytest.raises(ValueError, match=f"ratio must be retries per first attempt, from 0 to 1, not {value!r}$"):
        RetryBudget(ratio=value)
    with pytest.raises(ValueError, match=f"floor_per_second must be a finite number of at least 0, not {value!r}"):
        RetryBudget(floor_per_second=value)


@pytest.mark.parametrize(
    ("value", "hint"), [(20, ": write 0.2 for 20%"), (2.5, ": write 0.025 for 2.5%"), (1.5, ""), (101, "")]
)
def test_a_percentage_for_the_ratio_is_refused_with_the_ratio_that_it_means(value: float, hint: str) -> None:
    refusal = f"^ratio must be retries per first attempt, from 0 to 1, not {value}{hint}$"
    with pytest.raises(ValueError, match=refusal):
        RetryBudget(ratio=value)
    budget = RetryBudget(ratio=1.0)
    with pytest.raises(ValueError, match=refusal):
        budget.reconfigure(ratio=value)


def test_it_starts_full_with_ten_seconds_of_its_floor() -> None:
    assert spend(RetryBudget(clock=Time())) == 30


def test_the_floor_fills_it_with_time_and_never_above_its_size() -> None:
    time = Time()
    budget = RetryBudget(clock=time)
    spend(budget)
    time.now += 2.0
    assert spend(budget) == 6
    time.now += 1e6
    assert spend(budget) == 30


def test_every_fifth_first_attempt_earns_a_retry() -> None:
    budget = RetryBudget(clock=Time())
    spend(budget)
    for _ in range(50):
        budget.first_attempt()
    assert spend(budget) == 10


def test_without_a_floor_the_ratio_applies_in_addition_to_the_initial_retry() -> None:
    time = Time()
    budget = RetryBudget(ratio=0.5, floor_per_second=0.0, clock=time)
    assert spend(budget) == 1
    time.now += 1e6
    assert spend(budget) == 0
    budget.first_attempt()
    budget.first_attempt()
    assert spend(budget) == 1


def test_a_budget_of_nothing_grants_the_one_it_starts_with() -> None:
    budget = RetryBudget(ratio=0.0, floor_per_second=0.0, clock=Time())
    for _ in range(100):
        budget.first_attempt()
    assert spend(budget) == 1


def test_a_healthy_time_does_not_save_up_for_a_storm() -> None:
    budget = RetryBudget(clock=Time())
    for _ in range(100_000):
        budget.first_attempt()
    assert spend(budget) == 30


def test_a_busy_dependency_affords_ten_seconds_of_its_share_and_not_only_of_its_floor() -> None:
    time = Time()
    budget = RetryBudget(clock=time)
    for _ in range(10_000):
        budget.first_attempt()
        time.now += 60 / 10_000
    # 167 first attempts a second earn 33 retries a second, and the floor 3.
    assert 310 <= spend(budget) <= 335
    time.now += 60.0
    assert spend(budget) == 30, "what was long ago pays for nothing"


def test_a_burst_of_first_attempts_does_not_raise_what_is_saved_for_it() -> None:
    time = Time()
    budget = RetryBudget(clock=time)
    for _ in range(5_000):
        budget.first_attempt()
    assert budget.snapshot().capacity == 30
    time.now += 1.0
    assert budget.snapshot().capacity == 1_000
    time.now += 9.5
    assert budget.snapshot().capacity == 30


def test_a_first_attempt_is_never_refused_even_under_another_clock() -> None:
    budget = RetryBudget()

    async def main() -> None:
        assert budget.may_retry()

    run_async("trio", main)
    for _ in range(100):
        budget.first_attempt()
    with pytest.raises(RuntimeError, match="bound to"):
        budget.may_retry()


@given(
    ratio=st.floats(0, 1),
    floor=st.floats(0, 20),
    steps=st.lists(st.tuples(st.integers(0, 30), st.floats(0, 4)), max_size=40),
)
def test_no_stretch_of_time_gets_more_than_is_promised(
    ratio: float, floor: float, steps: list[tuple[int, float]]
) -> None:
    time = Time()
    budget, started, first_attempts, granted = RetryBudget(ratio, floor, clock=time), time.now, 0, 0
    budget.snapshot()
    for calls, seconds in steps:
        for _ in range(calls):
            budget.first_attempt()
        first_attempts += calls
        granted += spend(budget)
        saved = max(1.0, 10 * floor)  # it starts with this, and a larger store is filled by first attempts alone
        assert granted <= saved + ratio * first_attempts + floor * (time.now - started) + 1e-6
        time.now += seconds
    snapshot = budget.snapshot()
    assert (snapshot.first_attempts, snapshot.granted) == (first_attempts, granted)
    assert 0.0 <= snapshot.available <= snapshot.capacity


@pytest.mark.anyio
async def test_a_hundred_tasks_that_fail_together_share_one_budget() -> None:
    budget, attempts = RetryBudget(clock=Time()), 0

    async def call() -> None:
        nonlocal attempts
        budget.first_attempt()
        attempts += 1
        await anyio.lowlevel.checkpoint()
        for _ in range(2):
            if not budget.may_retry():
                return
            attempts += 1
            await anyio.lowlevel.checkpoint()

    async with open_task_group() as group:
        for _ in range(100):
            group.start_soon(call)
    # The bucket is full while the first attempts are made, so that they earn nothing.
    assert attempts == 100 + 30
    snapshot = budget.snapshot()
    assert (snapshot.first_attempts, snapshot.granted, snapshot.refused) == (100, 30, 100)


def test_threads_neither_lose_nor_gain_a_retry() -> None:
    budget, granted = RetryBudget(ratio=0.5, floor_per_second=10.0, clock=Time()), []

    def work() -> None:
        mine = 0
        for _ in range(2000):
            budget.first_attempt()
            mine += budget.may_retry()
        granted.append(mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = budget.snapshot()
    assert snapshot.first_attempts == 16_000
    assert snapshot.granted == sum(granted)
    assert snapshot.granted + snapshot.refused == 16_000
    assert snapshot.granted + snapshot.available <= 100 + 0.5 * 16_000 + 1e-6


def test_it_goes_on_with_other_settings_and_what_was_saved() -> None:
    time = Time()
    budget = RetryBudget(clock=time)
    budget.reconfigure(ratio=1.0, floor_per_second=1.0)
    assert spend(budget) == 10
    budget.first_attempt()
    assert spend(budget) == 1
    before = budget.snapshot()
    with pytest.raises(ValueError, match="floor_per_second must be"):
        budget.reconfigure(ratio=0.5, floor_per_second=-1.0)
    budget.first_attempt()
    assert budget.snapshot().available == before.available + 1.0
