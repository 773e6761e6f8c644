"""The token bucket."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience.runtime.token_bucket import TokenBucket


def drain(bucket: TokenBucket, now: float) -> int:
    taken = 0
    while bucket.take(now):
        taken += 1
    return taken


def test_it_starts_full() -> None:
    assert drain(TokenBucket(rate=1.0, capacity=5.0), now=100.0) == 5


def test_it_fills_at_its_rate_and_never_above_its_size() -> None:
    bucket = TokenBucket(rate=2.0, capacity=5.0)
    drain(bucket, 0.0)
    assert drain(bucket, 1.0) == 2
    assert drain(bucket, 1000.0) == 5


def test_nothing_is_taken_where_not_all_is_there() -> None:
    bucket = TokenBucket(rate=0.0, capacity=3.0)
    assert not bucket.take(0.0, 4.0)
    assert bucket.take(0.0, 3.0)


def test_ten_tenths_make_one_despite_rounding() -> None:
    bucket = TokenBucket(rate=0.0, capacity=10.0)
    drain(bucket, 0.0)
    for _ in range(10):
        bucket.add(0.1)
    assert bucket.level(0.0) < 1.0
    assert drain(bucket, 0.0) == 1


def test_time_that_goes_back_takes_nothing_away_and_gives_nothing() -> None:
    bucket = TokenBucket(rate=1.0, capacity=5.0)
    drain(bucket, 10.0)
    assert bucket.level(5.0) == 0.0
    assert bucket.level(11.0) == 1.0


def test_the_wait_it_names_is_exactly_long_enough() -> None:
    bucket = TokenBucket(rate=4.0, capacity=5.0)
    drain(bucket, 0.0)
    assert bucket.seconds_until(0.0) == 0.25
    assert not bucket.take(0.24)
    assert bucket.take(0.25)


@pytest.mark.parametrize(("rate", "tokens"), [(0.0, 1.0), (1.0, 6.0)])
def test_what_will_never_be_there_takes_for_ever(rate: float, tokens: float) -> None:
    bucket = TokenBucket(rate=rate, capacity=5.0)
    drain(bucket, 0.0)
    assert bucket.seconds_until(0.0, tokens) == math.inf


def test_reading_the_level_changes_no_state_at_any_time() -> None:
    bucket = TokenBucket(rate=1.0, capacity=5.0)
    assert bucket.level(math.nan) == bucket.level(1e9) == 5.0
    drain(bucket, 0.0)
    assert (bucket.level(2.0), bucket.level(1e9), bucket.level(math.nan)) == (2.0, 5.0, 0.0)
    assert drain(bucket, 1.0) == 1


def test_what_is_spent_beyond_what_there_is_is_owed() -> None:
    bucket = TokenBucket(rate=2.0, capacity=1.0)
    for _ in range(3):
        bucket.spend(0.0)
    assert bucket.level(0.0) == -2.0
    assert not bucket.take(1.0)
    assert bucket.take(1.5)


def test_a_smaller_bucket_spills_and_a_larger_one_is_not_filled() -> None:
    bucket = TokenBucket(rate=1.0, capacity=5.0)
    bucket.resize(0.0, rate=1.0, capacity=2.0)
    assert bucket.level(0.0) == 2.0
    bucket.resize(0.0, rate=1.0, capacity=9.0)
    assert bucket.level(0.0) == 2.0


@given(
    rate=st.floats(0, 100),
    capacity=st.floats(1, 100),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), max_size=60),
)
def test_no_more_goes_out_than_came_in(rate: float, capacity: float, steps: list[tuple[float, float]]) -> None:
    bucket, now, added, taken = TokenBucket(rate, capacity), 0.0, 0.0, 0
    bucket.take(now, 0.0)
    for seconds, tokens in steps:
        now += seconds
        bucket.add(tokens)
        added += tokens
        taken += drain(bucket, now)
        assert 0.0 <= bucket.level(now) <= capacity
    assert taken <= capacity + added + rate * now + 1e-6
