"""Parts, policies and budgets have their state in one process: no copy has another one, and none is pickled."""

import copy
import multiprocessing
import pickle

import pytest

from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    Drain,
    KeyedRateLimit,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    circuit_breaker,
)
from cqox.resilience.limits.keyed_budget import KeyedBudget

STATEFUL = [
    CircuitBreaker("engine of another process"),
    Policy("policy of another process", Retry(3)),
    Policy("hosts of another process", Timeout(1.0)).for_key("host"),
    RetryBudget(),
    Bulkhead(1),
    AdaptiveLimit(),
    RateLimit(3),
    Shed(3),
    Drain(),
    KeyedRateLimit(3),
    KeyedBudget(3, 1.0),
    Retry(3, budget=RetryBudget()),
]


@circuit_breaker
def answer() -> str:
    return "answer"


@pytest.mark.parametrize("owner", STATEFUL, ids=lambda owner: type(owner).__name__)
def test_what_has_a_state_is_never_pickled_and_says_what_to_do(owner: object) -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled, as .*: make it in each process, .*"):
        pickle.dumps(owner)


@pytest.mark.parametrize("owner", STATEFUL, ids=lambda owner: type(owner).__name__)
def test_a_copy_of_what_has_a_state_is_the_same_object(owner: object) -> None:
    assert copy.copy(owner) is owner
    assert copy.deepcopy([owner])[0] is owner


def test_the_message_names_the_breaker() -> None:
    with pytest.raises(TypeError, match=r"^CircuitBreaker 'engine' cannot be pickled"):
        pickle.dumps(CircuitBreaker("engine"))


@pytest.mark.parametrize("part", [Retry(4, 0.5), Timeout(2.0)])
def test_a_part_without_a_state_is_pickled_with_its_settings(part: Retry | Timeout) -> None:
    assert repr(pickle.loads(pickle.dumps(part))) == repr(part)


def test_a_guarded_function_is_sent_to_another_process_by_its_name() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(answer) == "answer"
