"""A budget for each key, in virtual time."""

import math
import threading

import pytest

from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.resilience.testing import FakeClock


def test_each_key_has_a_budget_of_its_own_that_refills_evenly() -> None:
    clock = FakeClock()
    budget = KeyedBudget(3600, 3600.0, clock=clock)
    assert budget.check("a").admitted
    budget.spend("a", 3600.0)
    used_up = budget.check("a")
    assert (used_up.admitted, used_up.remaining, used_up.retry_after) == (False, 0, 1.0)
    assert budget.check("b").remaining == 3600
    clock.advance(100.0)
    assert budget.check("a").remaining == 100


def test_a_debt_is_paid_before_more_is_used() -> None:
    clock = FakeClock()
    budget = KeyedBudget(10, 10.0, clock=clock)
    budget.spend("a", 25.0)
    assert budget.check("a").retry_after == pytest.approx(16.0)
    clock.advance(15.0)
    assert not budget.check("a").admitted
    clock.advance(1.0)
    assert budget.check("a").admitted


def test_what_was_used_does_not_refill_from_before_its_use() -> None:
    clock = FakeClock()
    budget = KeyedBudget(10, 10.0, clock=clock)
    budget.spend("a", 1.0)
    clock.advance(1000.0)
    budget.spend("a", 10.0)
    assert not budget.check("a").admitted


def test_what_is_wanted_is_known_beforehand_and_more_than_everything_never_fits() -> None:
    budget = KeyedBudget(10, 10.0, clock=FakeClock())
    assert budget.check("a", 10.0).admitted
    assert budget.check("a", 11.0).retry_after == math.inf
    budget.spend("a", 4.0)
    refused = budget.check("a", 8.0)
    assert (refused.admitted, refused.retry_after) == (False, pytest.approx(2.0))


def test_the_keys_used_least_recently_are_forgotten() -> None:
    budget = KeyedBudget(10, 10.0, most_keys=2, clock=FakeClock())
    budget.spend("a", 10.0)
    budget.spend("b", 10.0)
    assert not budget.check("a").admitted
    budget.spend("c", 10.0)
    assert len(budget) == 2
    assert budget.check("b").admitted


def test_threads_lose_no_use() -> None:
    budget = KeyedBudget(10_000, 1e6, clock=FakeClock())

    def spend() -> None:
        for _ in range(500):
            budget.spend("a", 1.0)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.check("a").remaining == 6_000
    assert budget.policy() == "q=10000;w=1000000"


@pytest.mark.parametrize("wrong", [{"amount": 0}, {"seconds": 0.0}, {"most_keys": 0}, {"name": ""}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        KeyedBudget(**{"amount": 1, "seconds": 1.0} | wrong)  # type: ignore[arg-type]
