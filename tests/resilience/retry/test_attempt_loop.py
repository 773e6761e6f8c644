"""A retried block: attempts, pauses, what is left behind, and misuse."""

from random import Random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.errors import CircuitOpen, DeadlineExceeded
from cqox.resilience import AttemptStarted, GaveUp, Retry, RetryBudget, RetryScheduled, deadline
from cqox.resilience.runtime.call_context import attempt_made, attempt_served, call_key
from cqox.resilience.testing import FakeClock, Script, capture_events
from tests.resilience.conftest import Down
from tests.resilience.retrying import asking, plain


def attempted(retry: Retry, script: Script) -> object:
    """Call `script` in a retried block and return its result."""
    for attempt in retry:
        with attempt:
            return script()
    raise AssertionError("a loop ends by a result or by an exception")


async def attempted_async(retry: Retry, script: Script) -> object:
    """Asynchronous twin of `attempted`."""
    async for attempt in retry:
        with attempt:
            return await script.call()
    raise AssertionError("a loop ends by a result or by an exception")


def test_a_block_is_repeated_until_it_succeeds() -> None:
    retry, clock = plain(max_attempts=4)
    assert attempted(retry, Script(Down("1"), Down("2"), "up")) == "up"
    assert clock.sleeps == [1.0, 2.0]


def test_a_block_in_a_task_pauses_in_the_time_of_its_loop(run) -> None:
    async def main() -> None:
        began = anyio.current_time()
        retry = Retry(4, 1.0, jitter=False)
        assert await attempted_async(retry, Script(Down("1"), Down("2"), "up")) == "up"
        assert round(anyio.current_time() - began, 6) == 3.0
        assert attempt_made.get() == 0

    run(main)


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 5))
def test_a_block_is_retried_as_a_decorated_function_is(fails: list[bool], most: int) -> None:
    def play(block: bool) -> tuple[object, int, list[float]]:
        clock = FakeClock()
        retry = Retry(most, 1.0, clock=clock, rng=Random(7))
        script = Script(*(Down(str(at)) if failed else at for at, failed in enumerate(fails)))
        try:
            result = attempted(retry, script) if block else retry(script.__call__)()
        except Down as error:
            result = str(error)
        return result, script.calls, clock.sleeps

    assert play(True) == play(False)


def test_the_last_exception_reaches_the_caller_as_it_is() -> None:
    retry, clock = plain(max_attempts=2)
    last = Down("last")
    with pytest.raises(Down) as caught:
        attempted(retry, Script(Down("first"), last))
    assert caught.value is last
    assert last.__context__ is None
    assert clock.sleeps == [1.0]


@pytest.mark.parametrize("error", [ValueError("a mistake"), CircuitOpen("engine", retry_after=1.0)])
def test_what_is_not_to_be_retried_ends_the_loop(error: Exception) -> None:
    retry, clock = plain(exceptions=(Down,))
    with pytest.raises(type(error)):
        attempted(retry, Script(error))
    assert clock.sleeps == []


def test_a_cancellation_is_never_retried(run) -> None:
    async def main() -> None:
        made = 0
        with anyio.move_on_after(1.0) as scope:
            async for attempt in Retry(3, 0.1, exceptions=BaseException):
                with attempt:
                    made += 1
                    await anyio.sleep(60.0)
        assert scope.cancelled_caught
        with anyio.move_on_after(1.0) as scope:
            await attempted_async(Retry(3, 100.0), Script(Down()))
        assert (scope.cancelled_caught, made, attempt_made.get()) == (True, 1, 0)

    run(main)


def test_attempts_are_numbered_for_the_block_and_nothing_is_left_behind() -> None:
    retry, _ = plain(max_attempts=3, idempotency_key=True)
    seen: list[tuple[int, int]] = []
    keys: set[str | None] = set()
    for attempt in retry:
        assert (attempt_made.get(), call_key.get()) == (0, None)
        with attempt:
            seen.append((attempt.number, attempt_made.get()))
            keys.add(call_key.get())
            if attempt.number < 3:
                raise Down
    assert seen == [(1, 0), (2, 1), (3, 2)]
    assert len(keys) == 1
    assert None not in keys
    assert (attempt_made.get(), call_key.get()) == (0, None)


def test_a_loop_that_is_left_after_a_failure_leaves_nothing_behind() -> None:
    retry, _ = plain()
    for attempt in retry:
        with attempt:
            raise Down
        if attempt.number == 2:
            break
    assert attempt_made.get() == 0


def test_one_retry_serves_many_tasks_at_once(run) -> None:
    async def main() -> None:
        retry = Retry(3, 1.0, jitter=False)
        results: list[object] = []

        async def work(at: int) -> None:
            results.append(await attempted_async(retry, Script(Down(), Down(), at)))

        async with anyio.create_task_group() as group:
            for at in range(100):
                group.start_soon(work, at)
        assert sorted(results) == list(range(100))

    run(main)


def test_deadline_budget_total_time_and_retry_after_hold_for_blocks() -> None:
    clock = FakeClock()
    with deadline(5.0, clock=clock), pytest.raises(Down):
        attempted(Retry(9, 2.0, jitter=False, clock=clock), Script(Down()))
    assert clock.sleeps == [2.0]
    with pytest.raises(Down):
        attempted(Retry(9, 0.0, budget=RetryBudget(0.0, 0.1, clock=clock), clock=clock), Script(Down()))
    assert clock.sleeps == [2.0, 0.0]
    with pytest.raises(Down):
        attempted(Retry(9, 2.0, jitter=False, max_duration=6.0, clock=clock), Script(Down()))
    assert clock.sleeps == [2.0, 0.0, 2.0]
    assert attempted(Retry(2, clock=clock), Script(asking(retry_after="9"), "up")) == "up"
    assert clock.sleeps[-1] == 9.0


def test_with_no_time_left_the_block_is_not_entered() -> None:
    script = Script("up")
    with deadline(0.0), pytest.raises(DeadlineExceeded):
        attempted(Retry(), script)
    assert script.calls == 0


def test_a_block_of_a_request_that_is_a_retry_makes_one_attempt() -> None:
    retry, clock = plain()
    token = attempt_served.set(1)
    try:
        with pytest.raises(Down):
            attempted(retry, Script(Down()))
    finally:
        attempt_served.reset(token)
    assert clock.sleeps == []


def test_events_and_on_retry_are_those_of_a_decorated_function() -> None:
    paused: list[float] = []
    retry, _ = plain(max_attempts=2, name="poll", on_retry=lambda event: paused.append(event.delay))
    with capture_events(AttemptStarted, RetryScheduled, GaveUp) as events, pytest.raises(Down):
        attempted(retry, Script(Down()))
    kinds = [(type(event).__name__, event.name, event.attempt) for event in events]
    assert kinds == [
        ("AttemptStarted", "poll", 1),
        ("RetryScheduled", "poll", 1),
        ("AttemptStarted", "poll", 2),
        ("GaveUp", "poll", 2),
    ]
    assert paused == [1.0]


def test_an_attempt_that_is_not_used_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="write `with attempt:`"):
        list(Retry())


def test_an_attempt_is_used_once() -> None:
    attempt = next(iter(Retry()))
    with attempt:
        pass
    with pytest.raises(RuntimeError, match="serves one block"), attempt:
        pass


def test_a_block_has_no_result_to_check() -> None:
    with pytest.raises(TypeError, match="a block has none"):
        iter(Retry(retry_if=bool))
