"""The pure fair queue: order by use, reserves, and no lost slots."""

import itertools
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.resilience.limits.fair_slots import FairSlots
from cqox.resilience.runtime.criticality import Criticality


@dataclass(eq=False)
class Call:
    caller: str
    level: Criticality = Criticality.CRITICAL


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


def slots_of(limit: int, queue_limit: int = 100, clock: Clock | None = None) -> FairSlots[Call]:
    return FairSlots[Call](limit, queue_limit, clock or Clock())


def queue(slots: FairSlots[Call], name: str, count: int) -> list[Call]:
    calls = [Call(name) for _ in range(count)]
    assert all(slots.enqueue(call) == (True, None) for call in calls)
    return calls


def served(slots: FairSlots[Call], name: str, seconds: float = 1.0) -> str:
    """End a call of a caller and return who gets its slot."""
    ticket = slots.leave(name, seconds)
    return "" if ticket is None else ticket.caller


def test_a_single_caller_uses_every_slot_and_the_whole_queue() -> None:
    slots = slots_of(3, 4)
    assert [slots.enter("a") for _ in range(4)] == [True, True, True, False]
    calls = queue(slots, "a", 4)
    assert slots.enqueue(Call("a")) == (False, None)
    assert slots.leave("a") is calls[0]


def test_the_caller_that_comes_late_is_served_next_and_not_after_the_queue_of_another() -> None:
    slots = slots_of(1)
    assert slots.enter("greedy")
    queue(slots, "greedy", 10)
    queue(slots, "late", 2)
    order = list[str]()
    for _ in range(6):
        order.append(served(slots, order[-1] if order else "greedy"))
    assert order == ["late", "greedy", "late", "greedy", "greedy", "greedy"]


def test_turns_are_by_time_and_not_by_number_of_calls() -> None:
    slots = slots_of(1)
    assert slots.enter("long")
    queue(slots, "long", 10)
    queue(slots, "short", 20)
    seconds, running = Counter[str](), "long"
    for _ in range(20):
        used = 5.0 if running == "long" else 1.0
        seconds[running] += used
        running = served(slots, running, used)
    assert abs(seconds["long"] - seconds["short"]) <= 5.0


def test_who_was_idle_has_saved_up_no_priority() -> None:
    slots = slots_of(1)
    assert slots.enter("early")
    served(slots, "early", 1.0)
    assert slots.enter("busy")
    for _ in range(50):
        queue(slots, "busy", 1)
        served(slots, "busy", 1.0)
    queue(slots, "busy", 5)
    queue(slots, "early", 5)
    order = ["busy"]
    for _ in range(6):
        order.append(served(slots, order[-1]))
    assert Counter(order)["busy"] >= 3


def test_the_last_slot_is_kept_for_a_caller_that_was_here_a_moment_ago() -> None:
    clock = Clock()
    slots = slots_of(2, clock=clock)
    assert slots.enter("b")
    served(slots, "b")
    assert slots.enter("a")
    assert not slots.enter("a")
    (waiting,) = queue(slots, "a", 1)
    assert slots.enter("b")
    assert slots.leave("b") is None
    # It is kept for half a minute; the next slot that is released is then given on, and so is the one that was kept.
    clock.time = 31.0
    second = Call("a")
    slots.enqueue(second)
    assert slots.leave("a") is waiting
    assert slots.claim() is second
    assert slots.claim() is None
    assert slots.taken == 2


def test_a_single_slot_cannot_be_kept_for_anybody() -> None:
    slots = slots_of(1)
    assert slots.enter("b")
    served(slots, "b")
    assert slots.enter("a")


def test_a_full_queue_takes_the_share_of_those_who_have_little_in_it() -> None:
    slots = slots_of(1, 16)
    assert slots.enter("a")
    queue(slots, "a", 16)
    assert slots.is_full_for("a")
    assert not slots.is_full_for("b")
    queue(slots, "b", 2)
    assert slots.enqueue(Call("b")) == (False, None)
    for number in range(7):
        queue(slots, f"c{number}", 2)
    # Never more than twice its length.
    assert slots.enqueue(Call("d")) == (False, None)
    assert slots.waiting == 32


def test_the_more_critical_evicts_only_a_call_of_its_own_caller() -> None:
    slots = slots_of(1, 2)
    assert slots.enter("a")
    mine, other = Call("a", Criticality.SHEDDABLE), Call("b", Criticality.SHEDDABLE)
    slots.enqueue(mine)
    slots.enqueue(other)
    assert slots.enqueue(Call("a", Criticality.CRITICAL_PLUS)) == (True, mine)
    assert slots.waiting == 2


def test_the_calls_ahead_are_those_of_the_same_turn() -> None:
    slots = slots_of(1)
    slots.enter("a")
    queue(slots, "a", 10)
    queue(slots, "b", 1)
    assert (slots.ahead("a"), slots.ahead("b"), slots.ahead("c")) == (11, 3, 2)
    assert (slots.calls("a"), slots.calls("c")) == (11, 0)


def test_a_smaller_queue_evicts_from_the_longest() -> None:
    slots = slots_of(1)
    slots.enter("a")
    queue(slots, "a", 5)
    queue(slots, "b", 2)
    granted, evicted = slots.resize(2, 3)
    assert [call.caller for call in granted] == ["b"]
    assert [call.caller for call in evicted] == ["a", "a", "a"]
    assert (slots.taken, slots.waiting) == (2, 3)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["enter", "leave", "cancel", "later"]), st.sampled_from("abc")), max_size=80
    ),
    limit=st.integers(1, 3),
    queue_limit=st.integers(0, 4),
)
@settings(max_examples=300, deadline=None)
def test_no_slot_is_lost_and_none_is_given_twice(steps: list[tuple[str, str]], limit: int, queue_limit: int) -> None:
    clock = Clock()
    slots = slots_of(limit, queue_limit, clock)
    running, waiting = Counter[str](), list[Call]()

    def grant(ticket: Call | None) -> None:
        while ticket is not None:
            waiting.remove(ticket)
            running[ticket.caller] += 1
            ticket = slots.claim()

    for what, name in steps:
        if what == "later":
            clock.time += 20.0
        elif what == "leave" and running[name]:
            running[name] -= 1
            grant(slots.leave(name, 1.0))
        elif what == "cancel":
            mine = [call for call in waiting if call.caller == name]
            if mine:
                waiting.remove(mine[0])
                assert slots.remove(mine[0])
        elif what == "enter":
            if slots.enter(name):
                running[name] += 1
            elif slots.enqueue(call := Call(name))[0]:
                waiting.append(call)
        assert slots.taken == running.total() <= limit
        assert slots.waiting == len(waiting) <= 2 * queue_limit
        # A caller without a slot waits only while none is free.
        assert slots.taken == limit or all(running[call.caller] for call in waiting)
    for name in itertools.chain.from_iterable(itertools.repeat("abc", 20)):
        while running[name]:
            running[name] -= 1
            grant(slots.leave(name, 1.0))
    assert not waiting
    assert slots.taken == slots.waiting == 0


@pytest.mark.parametrize("count", [2, 5])
def test_everybody_gets_the_same_time(count: int) -> None:
    slots = slots_of(2, 1000)
    names = [f"t{number}" for number in range(count)]
    running, seconds = list[str](), Counter[str]()
    for name in names:
        if slots.enter(name):
            running.append(name)
        queue(slots, name, 60)
    for _ in range(100):
        name = running.pop(0)
        seconds[name] += 1.0
        running.append(served(slots, name))
    assert max(seconds.values()) - min(seconds[name] for name in names) <= 2.0
