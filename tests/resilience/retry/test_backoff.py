"""Backoff delays: the documented formula, and bounds for every attempt number."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience import backoff

attempts = st.one_of(st.integers(0, 20), st.integers(0, 10**6))
seconds = st.floats(0, 1e9)


class Drawn(Random):
    """A generator with scripted draws."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("drawn", "expected"), [(0.0, [0.5, 1, 2, 4]), (0.5, [1, 2, 4, 8]), (0.75, [1.25, 2.5, 5, 10])]
)
def test_jitter_multiplies_the_capped_delay_by_a_half_to_one_and_a_half(drawn: float, expected: list[float]) -> None:
    delays = [backoff(attempt, base_delay=1.0, max_delay=60.0, jitter=True, rng=Drawn(drawn)) for attempt in range(4)]
    assert delays == expected


def test_the_cap_is_that_of_the_delay_before_jitter() -> None:
    assert backoff(10, base_delay=1.0, max_delay=60.0, jitter=True, rng=Drawn(0.999)) == pytest.approx(60 * 1.499)
    assert backoff(10, base_delay=1.0, max_delay=60.0, jitter=False, rng=Random()) == 60.0


@given(attempt=attempts, base=seconds, cap=seconds, draw=st.floats(0, 1, exclude_max=True), previous=seconds)
def test_every_delay_is_finite_and_within_its_bounds(
    attempt: int, base: float, cap: float, draw: float, previous: float
) -> None:
    def delay(jitter: object) -> float:
        return backoff(attempt, base_delay=base, max_delay=cap, jitter=jitter, rng=Drawn(draw), previous=previous)

    plain = delay(False)
    assert plain == (min(base * 2.0**attempt, cap) if attempt < 900 else (cap if base > 1e-200 else plain))
    assert 0 <= plain <= cap
    assert plain * 0.5 <= delay(True) <= plain * 1.5
    assert 0 <= delay("full") <= plain
    assert min(cap, base) <= delay("decorrelated") <= cap
    assert all(map(math.isfinite, (plain, delay(True), delay("full"), delay("decorrelated"))))


def test_decorrelated_delays_grow_from_the_one_before() -> None:
    first = backoff(0, base_delay=1.0, max_delay=60.0, jitter="decorrelated", rng=Drawn(0.5))
    second = backoff(1, base_delay=1.0, max_delay=60.0, jitter="decorrelated", rng=Drawn(0.5), previous=first)
    assert (first, second) == (2.0, 3.5)
