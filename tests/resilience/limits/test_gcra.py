"""Turns of the cell rate algorithm against the bounds of rate and burst."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience.limits.gcra import Gcra

ACTIONS = st.one_of(
    st.tuples(st.just("advance"), st.floats(0, 3)),
    st.tuples(st.just("reserve"), st.floats(0, 10)),
    st.tuples(st.just("take"), st.just(0.0)),
    st.tuples(st.just("give back"), st.floats(0, 0.999)),
)


def test_a_turn_that_will_come_is_promised_and_counts_against_the_next() -> None:
    turns = Gcra(rate=2.0, capacity=1.0)
    assert [turns.reserve(0.0, 1.0) for _ in range(4)] == [0.0, 0.5, 1.0, None]
    assert turns.level(0.0) == -2.0
    assert not turns.take(1.0)
    assert turns.take(1.5)


def test_a_turn_that_is_given_back_goes_to_who_comes_next() -> None:
    turns = Gcra(rate=1.0, capacity=1.0)
    assert [turns.reserve(0.0, math.inf) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]
    turns.cancel(0.5, 1.0)
    turns.cancel(0.5, 2.0)
    assert turns.seconds_until(0.5) == 0.5
    assert [turns.reserve(0.5, math.inf) for _ in range(3)] == [1.0, 2.0, 4.0]


def test_a_turn_whose_time_has_passed_is_gone_while_somebody_waits() -> None:
    turns = Gcra(rate=1.0, capacity=1.0)
    assert [turns.reserve(0.0, math.inf) for _ in range(3)] == [0.0, 1.0, 2.0]
    turns.cancel(0.5, 1.0)
    assert not turns.take(1.5)
    assert turns.reserve(1.5, math.inf) == 3.0


def test_no_debt_remains_without_waiting_calls() -> None:
    turns = Gcra(rate=1.0, capacity=2.0)
    promised = [turns.reserve(0.0, math.inf) for _ in range(102)]
    for turn in promised[2:]:
        assert turn is not None
        turns.cancel(0.5, turn)
    assert turns.level(0.5) == 0.5
    assert turns.take(1.0)


def test_at_a_lower_rate_who_comes_next_pays_for_what_was_promised() -> None:
    turns = Gcra(rate=1.0, capacity=1.0)
    assert [turns.reserve(0.0, math.inf) for _ in range(3)] == [0.0, 1.0, 2.0]
    turns.resize(0.0, rate=0.1, capacity=1.0)
    assert [turns.reserve(0.0, math.inf) for _ in range(2)] == pytest.approx([30.0, 40.0])


def test_reading_the_level_changes_no_state_at_any_time() -> None:
    turns = Gcra(rate=1.0, capacity=1.0)
    assert [turns.reserve(0.0, math.inf) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert [turns.level(now) for now in (1.0, 2.0, 9.0, 0.0)] == [-1.0, 0.0, 1.0, -2.0]
    assert math.isclose(turns.level(math.nan), -2.0)


@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20), actions=st.lists(ACTIONS, max_size=80))
def test_no_stretch_of_time_holds_more_turns_than_rate_and_burst_allow(
    rate: float, burst: int, actions: list[tuple[str, float]]
) -> None:
    turns, now, used, waiting = Gcra(rate, float(burst)), 0.0, list[float](), list[float]()
    for action, number in actions:
        used += [turn for turn in waiting if turn <= now]
        waiting = [turn for turn in waiting if turn > now]
        if action == "advance":
            now += number
        elif action == "take":
            used += [now] * turns.take(now)
        elif action == "give back":
            if waiting:
                turns.cancel(now, waiting.pop(int(number * len(waiting))))
        elif (turn := turns.reserve(now, number)) is not None:
            assert now <= turn <= now + number + 1e-9
            waiting.append(turn)
    used = sorted(used + waiting)
    for first in range(len(used)):
        for last in range(first, len(used)):
            assert last - first + 1 <= burst + rate * (used[last] - used[first]) + 1e-6


@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20), actions=st.lists(ACTIONS, max_size=80))
def test_who_comes_once_all_have_given_their_turns_back_waits_for_one_token_at_most(
    rate: float, burst: int, actions: list[tuple[str, float]]
) -> None:
    turns, now, waiting = Gcra(rate, float(burst)), 0.0, list[float]()
    for action, number in actions:
        waiting = [turn for turn in waiting if turn > now]
        if action == "advance":
            now += number
        elif action == "reserve" and (turn := turns.reserve(now, number)) is not None:
            waiting.append(turn)
    for turn in waiting:
        turns.cancel(now, turn)
    assert turns.seconds_until(now) <= 1 / rate + 1e-9
