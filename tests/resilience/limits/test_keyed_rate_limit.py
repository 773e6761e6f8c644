"""The rate limit of many keys: their independence, its bounds, and its agreement with the limit of one."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.errors import RateLimited
from cqox.resilience.limits.keyed_rate_limit import KeyedRateLimit
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.resilience.testing import FakeClock


def admitted(limit: KeyedRateLimit, key: object, calls: int) -> int:
    return sum(limit.take(key).admitted for _ in range(calls))


def test_each_key_has_a_rate_and_a_burst_of_its_own() -> None:
    clock = FakeClock()
    limit = KeyedRateLimit(10, 2.0, clock=clock)
    assert (admitted(limit, "a", 50), admitted(limit, "b", 50)) == (10, 10)
    clock.advance(1.0)
    assert (admitted(limit, "a", 50), admitted(limit, "c", 50)) == (5, 10)


def test_an_answer_says_what_remains_and_when_to_come_back() -> None:
    clock = FakeClock()
    limit = KeyedRateLimit(4, burst=2, clock=clock)
    first, second, third = (limit.take("a") for _ in range(3))
    assert (first.admitted, first.remaining, first.retry_after) == (True, 1, 0.0)
    assert (second.admitted, second.remaining) == (True, 0)
    assert second.retry_after == pytest.approx(0.25)
    assert (third.admitted, third.remaining) == (False, 0)
    clock.advance(third.retry_after)
    assert limit.take("a").admitted


def test_only_the_most_recently_used_keys_are_kept() -> None:
    limit = KeyedRateLimit(1, 60.0, most_keys=2, clock=FakeClock())
    for key in ("a", "b", "a", "c"):
        limit.take(key)
    assert len(limit) == 2
    # b was forgotten and is admitted again; a was used since.
    assert not limit.take("a").admitted
    assert limit.take("b").admitted


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2)), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_it_admits_what_a_limit_for_each_key_would(steps: list[tuple[str, float]], calls: int, burst: int) -> None:
    clock = FakeClock()
    limit = KeyedRateLimit(calls, burst=burst, clock=clock)
    alone = {key: RateLimit(calls, burst=burst, clock=clock) for key in "ab"}
    for key, seconds in steps:
        clock.advance(seconds)
        try:
            with alone[key]:
                expected = True
        except RateLimited:
            expected = False
        assert limit.take(key).admitted is expected


def test_threads_share_the_turns_of_a_key() -> None:
    limit, found = KeyedRateLimit(100, 1e6, clock=FakeClock()), Counter[bool]()
    lock = threading.Lock()

    def work() -> None:
        mine = Counter(limit.take("a").admitted for _ in range(100))
        with lock:
            found.update(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {True: 100, False: 300}


def test_its_policy_is_a_quota_and_a_window() -> None:
    limit = KeyedRateLimit(600, 60.0)
    assert (limit.policy(), limit.calls, limit.seconds) == ("q=600;w=60", 600, 60.0)


@pytest.mark.parametrize(
    "wrong",
    [{"calls": 0}, {"calls": 1.5}, {"seconds": 0.0}, {"seconds": -1.0}, {"burst": 0}, {"most_keys": 0}, {"name": ""}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        KeyedRateLimit(**{"calls": 1} | wrong)
