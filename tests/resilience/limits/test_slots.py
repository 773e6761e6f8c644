"""The pure queue against a model that keeps plain lists."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cqox.resilience.limits.slots import Slots
from cqox.resilience.runtime.criticality import Criticality

LEVELS = st.sampled_from(list(Criticality))


class Call:
    def __init__(self, level: Criticality = Criticality.CRITICAL) -> None:
        self.level = level


def full(limit: int, queue_limit: int) -> Slots[Call]:
    slots = Slots[Call](limit, queue_limit)
    while slots.enter():
        pass
    return slots


def test_no_more_enter_than_there_are_slots() -> None:
    slots = Slots[Call](2, 0)
    assert [slots.enter(), slots.enter(), slots.enter()] == [True, True, False]


def test_a_slot_goes_to_who_waited_longest() -> None:
    slots, first, second = full(1, 2), Call(), Call()
    slots.enqueue(first)
    slots.enqueue(second)
    assert [slots.leave(), slots.leave(), slots.leave()] == [first, second, None]


def test_a_slot_that_was_handed_over_is_never_open_to_a_newcomer() -> None:
    slots, waiting = full(1, 1), Call()
    slots.enqueue(waiting)
    slots.leave()
    assert not slots.enter()


def test_the_more_critical_come_first_and_each_level_in_its_order() -> None:
    slots = full(1, 9)
    calls = [
        Call(level) for level in (Criticality.SHEDDABLE, Criticality.CRITICAL, Criticality.SHEDDABLE, Criticality.PROBE)
    ]
    for call in calls:
        slots.enqueue(call)
    assert [slots.leave() for _ in calls] == [calls[3], calls[1], calls[0], calls[2]]


def test_a_full_queue_refuses_an_equal() -> None:
    slots = full(1, 1)
    slots.enqueue(Call())
    assert slots.enqueue(Call()) == (False, None)


def test_in_a_full_queue_the_latest_of_the_least_critical_makes_room_for_the_more_critical() -> None:
    slots = full(1, 3)
    early, late, better = Call(Criticality.SHEDDABLE), Call(Criticality.SHEDDABLE), Call(Criticality.SHEDDABLE_PLUS)
    for call in (early, late, better):
        slots.enqueue(call)
    assert slots.enqueue(Call(Criticality.CRITICAL)) == (True, late)
    assert slots.waiting == 3


def test_without_a_queue_no_call_is_evicted() -> None:
    assert full(1, 0).enqueue(Call(Criticality.PROBE)) == (False, None)


def test_after_the_limit_was_lowered_slots_are_closed_before_one_is_handed_on() -> None:
    slots, waiting = full(3, 1), Call()
    slots.enqueue(waiting)
    assert slots.resize(1, 1) == ([], [])
    assert [slots.leave(), slots.leave(), slots.leave()] == [None, None, waiting]


def test_raising_the_limit_lets_in_those_who_wait() -> None:
    slots, first, second = full(1, 2), Call(), Call()
    slots.enqueue(first)
    slots.enqueue(second)
    assert slots.resize(2, 2) == ([first], [])
    assert slots.taken == 2


def test_a_shorter_queue_puts_out_the_latest_of_the_least_critical() -> None:
    slots, kept, lost = full(1, 2), Call(), Call(Criticality.SHEDDABLE)
    slots.enqueue(kept)
    slots.enqueue(lost)
    assert slots.resize(1, 1) == ([], [lost])


def test_who_steps_out_is_gone_and_who_was_granted_cannot_step_out() -> None:
    slots, gone, granted = full(1, 2), Call(), Call()
    slots.enqueue(gone)
    slots.enqueue(granted)
    assert slots.remove(gone)
    assert slots.leave() is granted
    assert not slots.remove(granted)


class AgainstLists(RuleBasedStateMachine):
    """Random arrivals, departures, storms of cancellation and resizing."""

    @initialize(limit=st.integers(1, 4), queue_limit=st.integers(0, 5))
    def start(self, limit: int, queue_limit: int) -> None:
        self.slots = Slots[Call](limit, queue_limit)
        self.inside: list[Call] = []
        self.queue: list[Call] = []

    def admit_from_queue(self) -> None:
        while self.queue and len(self.inside) < self.slots.limit:
            best = max(self.queue, key=lambda call: call.level)
            self.queue.remove(best)
            self.inside.append(best)

    @rule(level=LEVELS)
    def arrive(self, level: Criticality) -> None:
        call = Call(level)
        if self.slots.enter():
            assert len(self.inside) < self.slots.limit
            self.inside.append(call)
            return
        assert len(self.inside) >= self.slots.limit
        expected_loser = None
        has_room = len(self.queue) < self.slots.queue_limit
        if not has_room and self.queue:
            least = min(waiting.level for waiting in self.queue)
            if least < level:
                expected_loser = [waiting for waiting in self.queue if waiting.level == least][-1]
        assert self.slots.enqueue(call) == (has_room or expected_loser is not None, expected_loser)
        if expected_loser is not None:
            self.queue.remove(expected_loser)
        if has_room or expected_loser is not None:
            self.queue.append(call)

    @rule(pick=st.integers(0, 100))
    def leave(self, pick: int) -> None:
        if not self.inside:
            return
        self.inside.pop(pick % len(self.inside))
        before = list(self.inside)
        self.admit_from_queue()
        assert self.slots.leave() is (self.inside[-1] if len(self.inside) > len(before) else None)

    @rule(pick=st.integers(0, 100))
    def give_up_waiting(self, pick: int) -> None:
        if self.queue:
            assert self.slots.remove(self.queue.pop(pick % len(self.queue)))

    @rule(limit=st.integers(1, 4), queue_limit=st.integers(0, 5))
    def resize(self, limit: int, queue_limit: int) -> None:
        granted, evicted = self.slots.resize(limit, queue_limit)
        before = len(self.inside)
        self.admit_from_queue()
        assert granted == self.inside[before:]
        while len(self.queue) > queue_limit:
            least = min(waiting.level for waiting in self.queue)
            loser = [waiting for waiting in self.queue if waiting.level == least][-1]
            self.queue.remove(loser)
            assert loser in evicted

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "slots"):
            assert (self.slots.taken, self.slots.waiting) == (len(self.inside), len(self.queue))
            assert not self.queue or len(self.inside) >= self.slots.limit


TestAgainstLists = AgainstLists.TestCase
TestAgainstLists.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("level", list(Criticality))
def test_every_level_has_a_queue(level: Criticality) -> None:
    slots, call = full(1, 1), Call(level)
    slots.enqueue(call)
    assert slots.leave() is call
