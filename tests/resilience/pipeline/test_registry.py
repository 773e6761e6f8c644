"""The registry: listing, operation and reconfiguration of named policies and parts."""

import gc
import sys
import weakref
from types import FrameType

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import (
    CircuitBreaker,
    CircuitState,
    Policy,
    RateLimit,
    Registry,
    Retry,
    Timeout,
    circuit_breaker,
    registry,
)
from cqox.resilience.testing import FakeClock


def test_breakers_and_policies_list_themselves() -> None:
    breaker = CircuitBreaker("listed breaker")
    policy = Policy("listed policy", breaker, Timeout(1.0))
    assert registry["listed breaker"] is breaker
    assert registry["listed policy"] is policy
    assert registry.snapshot()["listed breaker"] == breaker.snapshot()
    assert "nobody" not in registry


def test_a_decorated_function_is_listed_by_module_and_place() -> None:
    @circuit_breaker()
    def fetch() -> None: ...

    key = f"{__name__}.test_a_decorated_function_is_listed_by_module_and_place.<locals>.fetch"
    assert registry[key] is fetch.breaker
    assert fetch.breaker.name == "fetch"


def test_two_of_one_name_are_both_listed() -> None:
    one, two = CircuitBreaker("twin"), CircuitBreaker("twin")
    assert {registry["twin"], registry["twin#2"]} == {one, two}


def test_what_is_gone_is_no_longer_listed() -> None:
    @circuit_breaker(name="short-lived")
    def fetch() -> None: ...

    key = next(key for key in registry if key.endswith("<locals>.fetch") and "gone" in key)
    del fetch
    gc.collect()
    assert key not in registry


def test_a_policy_that_only_its_function_holds_is_listed_for_as_long() -> None:
    @Policy("held by its function", CircuitBreaker("operated"))
    def fetch() -> None: ...

    gc.collect()
    registry.isolate("held by its function")
    assert fetch.breaker.state is CircuitState.OPEN
    del fetch
    gc.collect()
    assert "held by its function" not in registry


def test_what_is_listed_can_be_read_while_more_is_added() -> None:
    listed, held = Registry(), [Retry(), Retry()]
    for number, entry in enumerate(held):
        listed.add(f"key {number}", entry)

    def meanwhile(frame: FrameType, event: str, argument: object) -> object:
        """Between any two lines that read the entries, another thread may add one."""
        if frame.f_code.co_filename == weakref.__file__ and event == "line":
            held.append(Retry())
            listed.add(f"key {len(held)}", held[-1])
        return meanwhile

    before = sys.gettrace()
    sys.settrace(meanwhile)
    try:
        keys, states = listed.keys(), listed.snapshot()
    finally:
        sys.settrace(before)
    assert {"key 0", "key 1"} <= set(keys) <= set(states)


def test_circuits_are_forced_and_reset_by_name() -> None:
    breaker = CircuitBreaker("forced", clock=FakeClock())
    call = breaker(lambda: "up")
    registry.isolate("forced")
    with pytest.raises(CircuitOpen):
        call()
    registry.reset("forced")
    assert call() == "up"
    registry.disable("forced")
    assert breaker.snapshot().mode == "disabled"
    registry.observe_only("forced")
    assert breaker.snapshot().mode == "observe_only"


def test_settings_change_by_name_and_keep_the_state() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("changed", failure_threshold=5, clock=clock)

    @breaker
    def call() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        call()
    registry.reconfigure("changed", failure_threshold=2)
    with pytest.raises(ConnectionError):
        call()
    assert breaker.state is CircuitState.OPEN
    with pytest.raises(TypeError, match=r"'changed' has no setting 'treshold' to change; it has: .*failure_threshold"):
        registry.reconfigure("changed", treshold=2)
    with pytest.raises(ValueError, match="failure_threshold"):
        registry.reconfigure("changed", failure_threshold=-2)


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    own = Registry()
    retry = Retry()
    assert own.add("a", retry) == "a"
    assert own.add("a", retry) == "a"
    with pytest.raises(KeyError, match="no policy is called 'b'; there are: a"):
        own.isolate("b")
    with pytest.raises(TypeError, match="'a' has no circuit to observe only"):
        own.observe_only("a")


def test_a_name_that_is_taken_ten_thousand_times_costs_no_more_than_one_that_is_not() -> None:
    looked_at = 0

    class Entry:
        __slots__ = ("__weakref__",)

        def snapshot(self) -> object:
            return None

        def setting_names(self) -> frozenset[str]:
            return frozenset()

    def count(frame: FrameType, event: str, argument: object) -> object:
        nonlocal looked_at
        looked_at += event == "line"
        return count

    listed, held = Registry(), [Entry() for _ in range(10_000)]
    before = sys.gettrace()
    sys.settrace(count)
    try:
        keys = [listed.add("equal", entry) for entry in held]
    finally:
        sys.settrace(before)
    assert keys == ["equal", *(f"equal#{number}" for number in range(2, 10_001))]
    assert looked_at < 100 * len(held)
    assert listed.add("equal", held[5_000]) == keys[5_000]
    assert len(listed.keys()) == 10_000


def test_numbers_of_entries_that_are_gone_are_used_again_and_nothing_is_kept_of_them() -> None:
    listed, first = Registry(), Retry()
    assert listed.add("name", first) == "name"
    for number in range(2_000):
        assert listed.add("name", Retry()) == "name#2"
        listed.add(f"other {number}", Retry())
    assert len(listed._key_of) < 1_000
    assert len(listed._highest) < 1_000
    own = Retry()
    assert listed.add("name#2", own) == "name#2"
    last = Retry()
    assert listed.add("name", last) == "name#3"
    assert set(listed) == {"name", "name#2", "name#3"}


def test_the_error_for_an_unknown_name_lists_a_few_of_many() -> None:
    listed = Registry()
    held = [Retry() for _ in range(1_000)]
    for number, entry in enumerate(held):
        listed.add(f"key {number:04}", entry)
    with pytest.raises(KeyError, match=r"key 0000, .*key 0019 and 980 more") as caught:
        listed["nobody"]
    assert len(str(caught.value)) < 500


def test_a_part_of_a_policy_is_named_where_two_know_the_setting() -> None:
    policy = Policy("two limits", RateLimit(5), Timeout(5.0))
    with pytest.raises(TypeError, match=r"give one of rate limit\.seconds, timeout\.seconds"):
        registry.reconfigure("two limits", seconds=1.0)
    registry.reconfigure("two limits", **{"timeout.seconds": 1.0})
    assert policy.part(Timeout).seconds == 1.0


def test_all_policies_are_explained_with_their_warnings_and_single_parts_in_a_line() -> None:
    policies = Registry()
    inside, alone = CircuitBreaker("inside"), CircuitBreaker("alone")
    one, two = Policy("explained", inside, Timeout(1.0)), Policy("explained", Retry(idempotent=True))
    for entry in (one, two, inside, alone):
        policies.add(entry.name, entry)
    lines = policies.explain().splitlines()
    assert lines[0] == "policy explained, outermost first:"
    assert "explained#2: policy explained, outermost first:" in lines
    assert sum("warning: no timeout bounds an attempt" in line for line in lines) == 1
    assert [line for line in lines if line.startswith(("inside:", "alone:"))] == [f"alone: {alone.describe()}"]


def test_an_empty_registry_explains_nothing() -> None:
    assert Registry().explain() == ""
