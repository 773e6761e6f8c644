"""Attempts as a caller chooses them: a total time, pauses of their own, and a callback before each."""

from datetime import timedelta

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience import Policy, Retry, RetryScheduled
from cqox.resilience.testing import FakeClock, Script, Slow
from tests.resilience.conftest import Down, World, outcome
from tests.resilience.retrying import asking, plain


def test_no_pause_outlasts_the_total_time_and_the_last_error_says_so(same_trace) -> None:
    error = Down("last")

    async def scenario(world: World) -> list[object]:
        error.__dict__.pop("__notes__", None)
        retry = Retry(9, 2.0, jitter=False, idempotent=True, max_duration=6.0, clock=world.clock)
        return [await outcome(world.guard(retry, Down(), error, "too late")), world.now(), *error.__notes__]

    note = "the pause, 4.00 s, would outlast the total time of 6 s, of which 4.00 s are left"
    assert same_trace(scenario) == ["Down", 2.0, f"no further attempt was made after 2: {note}"]


def test_the_total_time_counts_attempts_and_cuts_none(run) -> None:
    async def main() -> None:
        began = anyio.current_time()
        script = Script(Slow(4.0, Down()), Slow(60.0, "late"))
        policy = Policy("engine", Retry(9, 1.0, jitter=False, idempotent=True, max_duration=timedelta(seconds=6)))
        assert await policy.call(script.call) == "late"
        with pytest.raises(Down):
            await policy.call(Script(Slow(5.5, Down()), "late").call)
        assert round(anyio.current_time() - began, 6) == 65.0 + 5.5

    run(main)


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=8), st.floats(0.1, 12.0))
def test_no_attempt_starts_after_the_total_time(durations: list[float], most: float) -> None:
    clock = FakeClock()
    starts: list[float] = []

    def call() -> None:
        starts.append(clock.now())
        clock.advance(durations[min(len(starts), len(durations)) - 1])
        raise Down

    with pytest.raises(Down):
        Retry(20, 0.5, 2.0, jitter=False, max_duration=most, clock=clock)(call)()
    assert starts[0] == 0.0
    assert all(start < most for start in starts)


def test_each_call_has_a_total_time_of_its_own() -> None:
    retry, clock = plain(max_attempts=3, max_duration=4.0)
    for _ in range(2):
        assert retry(Script(Down(), Down(), "up").__call__)() == "up"
    assert clock.sleeps == [1.0, 2.0] * 2


def test_a_total_time_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_duration must be a number of seconds above 0"):
        Retry(max_duration=0.0)


def test_a_backoff_of_ones_own_chooses_the_pause_and_none_is_the_usual_one(same_trace) -> None:
    seen: list[tuple[int, str]] = []

    def choose(attempt: int, error: Exception) -> float | timedelta | None:
        seen.append((attempt, str(error)))
        return [timedelta(minutes=5), None, 0.0][attempt - 1]

    async def scenario(world: World) -> list[object]:
        seen.clear()
        retry = Retry(4, 1.0, 60.0, jitter=False, idempotent=True, backoff=choose, clock=world.clock)
        call = world.guard(retry, Down("1"), Down("2"), Down("3"), "up")
        return [await outcome(call), world.now(), *seen]

    assert same_trace(scenario) == ["up", 302.0, (1, "1"), (2, "2"), (3, "3")]


def test_a_server_that_asks_for_a_longer_pause_gets_it_under_a_backoff_of_ones_own() -> None:
    retry, clock = plain(backoff=lambda attempt, error: 1.0)
    assert retry(Script(asking(retry_after="7"), "up").__call__)() == "up"
    assert clock.sleeps == [7.0]


@pytest.mark.parametrize("nonsense", [-1.0, float("nan"), float("inf"), "1"])
def test_a_backoff_that_returns_nonsense_is_named(nonsense: object) -> None:
    retry, _ = plain(backoff=lambda attempt, error: nonsense)
    with pytest.raises(ValueError, match="the result of backoff must be a number of seconds"):
        retry(Script(Down(), "up").__call__)()


def test_on_retry_sees_each_pause_before_it_begins(same_trace) -> None:
    seen: list[tuple[int, int, float, str]] = []

    def note(event: RetryScheduled) -> None:
        seen.append((event.attempt, event.max_attempts, event.delay, str(event.error)))

    async def scenario(world: World) -> list[object]:
        seen.clear()
        retry = Retry(3, 1.0, jitter=False, idempotent=True, on_retry=note, clock=world.clock)
        return [await outcome(world.guard(retry, Down("1"), Down("2"), Down("3"))), *seen]

    assert same_trace(scenario) == ["Down", (1, 3, 1.0, "1"), (2, 3, 2.0, "2")]


def test_an_on_retry_that_raises_breaks_nothing(caplog) -> None:
    def broken(event: RetryScheduled) -> None:
        raise KeyError("a mistake")

    retry, _ = plain(on_retry=broken)
    assert retry(Script(Down(), "up").__call__)() == "up"
    assert "a listener failed on RetryScheduled" in caplog.text
