"""Attempts, their pauses, and their log lines and events."""

import itertools
import logging
import math
import re
import warnings
from email.utils import formatdate
from random import Random

import anyio
import anyio.to_thread
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience import Policy, Retry, deadline, exponential_backoff_retry
from cqox.resilience.retry import attempt_controller
from cqox.resilience.runtime.call_context import attempt_made, call_key
from cqox.resilience.testing import FakeClock, Script, capture_events, instant
from tests.resilience.conftest import Down, World, outcome
from tests.resilience.retrying import asking, plain


async def judged_later(error: Exception) -> bool:
    return False


def test_delays_double_and_none_follows_the_last_attempt(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        retry = Retry(4, 1.0, 60.0, jitter=False, idempotent=True, clock=world.clock)
        call = world.guard(retry, Down("1"), Down("2"), Down("3"), Down("4"), "too late")
        return [await outcome(call), world.now()]

    assert same_trace(scenario) == ["Down", 7.0]


def test_the_same_seed_gives_the_same_pauses_in_every_world(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        retry = Retry(5, 1.0, 3.0, idempotent=True, clock=world.clock, rng=Random(7))
        call = world.guard(retry, Down(), Down(), Down(), Down(), "up")
        return [await outcome(call), world.now()]

    rng, pauses = Random(7), [1.0, 2.0, 3.0, 3.0]
    assert same_trace(scenario) == ["up", round(sum(pause * (0.5 + rng.random()) for pause in pauses), 6)]


def test_success_is_returned_at_once_and_draws_nothing() -> None:
    retry, clock = plain()
    script = Script("up")
    assert retry(script.__call__)() == "up"
    assert (script.calls, clock.sleeps) == (1, [])


def test_the_last_exception_reaches_the_caller_as_it_is() -> None:
    retry, clock = plain(max_attempts=3)
    last = Down("last")
    script = Script(Down("first"), Down("second"), last)
    with pytest.raises(Down) as caught:
        retry(script.__call__)()
    assert caught.value is last
    assert caught.value.__context__ is None
    assert getattr(last, "__notes__", []) == []
    assert clock.sleeps == [1.0, 2.0]


def test_a_cancellation_ends_a_pause_and_the_call(run) -> None:
    async def main() -> None:
        script = Script(Down())
        with anyio.move_on_after(0.5) as scope:
            await exponential_backoff_retry(base_delay=100.0)(script.call)()
        assert scope.cancelled_caught
        assert script.calls == 1
        assert attempt_made.get() == 0

    run(main)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 1.0),
        ({"retry_after": "-5"}, 1.0),
        ({"retry_after": "soon"}, 1.0),
        ({"Retry_After": formatdate(1_000_030, usegmt=True), "date": formatdate(1_000_000, usegmt=True)}, 30.0),
        ({"retry_after": formatdate(0, usegmt=True)}, 1.0),
    ],
)
def test_the_larger_of_the_computed_and_the_asked_pause_is_kept(headers: dict[str, str], pause: float) -> None:
    retry, clock = plain()
    assert retry(Script(asking(**headers), "up").__call__)() == "up"
    assert clock.sleeps == [pause]


def test_of_several_servers_the_one_that_asks_for_most_is_heeded() -> None:
    retry, clock = plain()
    group = ExceptionGroup(
        "both", [Down("silent"), ExceptionGroup("in", [asking(retry_after="7"), asking(retry_after="3")])]
    )
    assert retry(Script(group, "up").__call__)() == "up"
    assert clock.sleeps == [7.0]


def test_attempts_are_numbered_for_the_callee(run) -> None:
    async def main() -> None:
        seen: list[int] = []

        @exponential_backoff_retry(max_attempts=3)
        async def call() -> None:
            seen.append(attempt_made.get())
            raise Down

        for _ in range(2):
            with pytest.raises(Down):
                await call()
        assert seen == [0, 1, 2, 0, 1, 2]
        assert attempt_made.get() == 0

    run(main)


def test_all_attempts_of_a_call_carry_one_idempotency_key() -> None:
    seen: list[str | None] = []
    retry, _ = plain(idempotency_key=True)

    @retry
    def call() -> None:
        seen.append(call_key.get())
        if len(seen) % 2:
            raise Down

    call()
    call()
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert seen[0] is not None
    assert call_key.get() is None


def test_per_call_state_is_on_the_call(run) -> None:
    async def main() -> None:
        attempts: dict[int, int] = {}

        @exponential_backoff_retry(max_attempts=3, base_delay=0.5)
        async def call(number: int) -> int:
            attempts[number] = attempts.get(number, 0) + 1
            await anyio.sleep(0.01 * (number % 7))
            if attempts[number] < 1 + number % 3:
                raise Down
            return number

        results: list[int] = []

        async def one(number: int) -> None:
            results.append(await call(number))

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, number)
        assert sorted(results) == list(range(100))
        assert attempts == {number: 1 + number % 3 for number in range(100)}

    run(main)


def test_each_retry_is_logged_as_the_owners_document_has_it(caplog) -> None:
    retry, _ = plain(max_attempts=3, jitter=True, rng=Random(1))
    with caplog.at_level(logging.WARNING, "cqox.resilience"), pytest.raises(Down):
        retry(Script(Down("engine unreachable")).__call__)()
    first, second, third = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"\[Retry\] Attempt 1/3 failed: engine unreachable\. Retrying in \d+\.\d\ds\.\.\.", first)
    assert re.fullmatch(r"\[Retry\] Attempt 2/3 failed: engine unreachable\. Retrying in \d+\.\d\ds\.\.\.", second)
    assert third == "[Retry] Attempt 3/3 failed: engine unreachable. Giving up: 3 attempts were made."
    assert {record.name for record in caplog.records} == {"cqox.resilience"}


def test_an_exception_that_cannot_say_what_it_is_is_retried_as_any_other(caplog) -> None:
    class Coded(Exception):
        def __str__(self) -> str:
            return self.args[0]  # which is no string

    retry, _ = plain(max_attempts=2)
    error = Coded(503)
    with caplog.at_level(logging.WARNING, "cqox.resilience"), pytest.raises(Coded) as caught:
        retry(Script(error).__call__)()
    assert caught.value is error
    assert [record.getMessage().partition(". ")[0] for record in caplog.records] == [
        "[Retry] Attempt 1/2 failed: Coded",
        "[Retry] Attempt 2/2 failed: Coded",
    ]


def test_listeners_hear_of_every_attempt() -> None:
    retry, _ = plain(max_attempts=2)
    error = Down("down")
    with capture_events() as seen, pytest.raises(Down):
        Policy("engine", retry)(Script(error).__call__)()
    assert [type(event).__name__ for event in seen] == [
        *["AttemptStarted", "AttemptFailed", "RetryScheduled", "AttemptStarted", "AttemptFailed", "GaveUp"]
    ]
    assert {event.name for event in seen} == {"engine"}
    assert [getattr(event, "attempt", None) for event in seen] == [1, 1, 1, 2, 2, 2]
    assert [getattr(event, "max_attempts", None) for event in seen] == [2, 2, 2, 2, 2, None]
    assert seen[2].delay == 1.0
    assert seen[5].error is error
    assert [event.at for event in seen] == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_pause_on_a_thread_with_a_loop_warns_once_for_each_line(run) -> None:
    async def main() -> None:
        def call() -> object:
            return plain(base_delay=1.0)[0](Script(Down(), "up").__call__)()

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(3):
                call()
            await anyio.to_thread.run_sync(call)
        assert [warning.category for warning in seen] == [RuntimeWarning]
        assert seen[0].filename == __file__

    attempt_controller._warned_sites.clear()
    run(main)


def test_a_retry_that_does_not_pause_warns_of_no_blocked_loop(run) -> None:
    async def main() -> None:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            plain(base_delay=0.0)[0](Script(Down(), "up").__call__)()
            with instant():
                Retry(idempotent=True)(Script(Down(), "up").__call__)()
        assert seen == []

    attempt_controller._warned_sites.clear()
    run(main)


def test_settings_change_at_run_time() -> None:
    retry, clock = plain(max_attempts=2)
    script = Script(Down(), Down(), Down(), "up")
    call = retry(script.__call__)
    retry.reconfigure(max_attempts=4, base_delay=0.5)
    assert call() == "up"
    assert clock.sleeps == [0.5, 1.0, 2.0]
    with pytest.raises(ValueError, match="max_attempts"):
        retry.reconfigure(max_attempts=0)
    assert retry.settings.max_attempts == 4


def test_three_attempts_are_made_where_nothing_else_is_asked() -> None:
    script = Script(*[Down()] * 5)
    with pytest.raises(Down):
        Retry(idempotent=True, clock=FakeClock())(script.__call__)()
    assert script.calls == 3


def test_decorrelated_pauses_lie_between_the_base_and_three_times_the_one_before() -> None:
    retry, clock = plain(max_attempts=5, jitter="decorrelated", rng=Random(3))
    with pytest.raises(Down):
        retry(Script(*[Down()] * 5).__call__)()
    assert len(clock.sleeps) == 4
    for before, pause in itertools.pairwise((1.0, *clock.sleeps)):
        assert 1.0 <= pause <= 3 * before


@pytest.mark.parametrize("error", [DeadlineExceeded(1.0, before_call=True), KeyboardInterrupt()])
def test_a_call_that_did_not_begin_and_what_is_no_exception_are_not_retried(error: BaseException) -> None:
    retry, clock = plain(exceptions=lambda _: True)
    with pytest.raises(type(error)) as caught:
        retry(Script(error).__call__)()
    assert caught.value is error
    assert clock.sleeps == []


def test_a_callee_that_exceeds_a_deadline_of_its_own_is_retried() -> None:
    retry, clock = plain()
    assert retry(Script(DeadlineExceeded(1.0), "up").__call__)() == "up"
    assert clock.sleeps == [1.0]


def test_an_exception_whose_notes_are_no_list_reaches_the_caller_as_it_is() -> None:
    error = Down("down")
    error.__notes__ = "one text"  # type: ignore[assignment]
    retry, clock = plain()
    with pytest.raises(Down) as caught, deadline(0.5, clock=clock):
        Policy("engine", retry)(Script(error).__call__)()
    assert caught.value is error


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_attempts": 0}, "max_attempts must be an integer of at least 1, not 0"),
        ({"base_delay": -1}, "base_delay must be a number of seconds at least 0, and finite, not -1"),
        ({"base_delay": math.nan}, "not nan"),
        ({"max_delay": math.inf}, "max_delay must be .*not inf"),
        ({"jitter": "half"}, "jitter must be True, False,"),
        ({"jitter": 1}, "jitter must be True, False,"),
        ({"base_delay": 10**400}, "and finite, not 1000"),
        ({"idempotent": "false"}, "idempotent must be True or False, not 'false'"),
        ({"idempotency_key": 1}, "idempotency_key must be True or False, not 1"),
        ({"exceptions": ()}, "exceptions must be an exception class, a non-empty tuple"),
        ({"exceptions": ("Down",)}, "exceptions must be"),
        ({"exceptions": "Down"}, "exceptions must be an exception class, .*, not 'Down'"),
        ({"exceptions": OSError(5)}, r"exceptions must be an exception class, .*, not OSError\(5\)"),
        ({"exceptions": judged_later}, "exceptions must be a plain function, not the coroutine function"),
        ({"max_retry_after": -1.0}, "max_retry_after must be"),
        ({"clock": 5}, "clock must have"),
        ({"budget": 0.2}, "budget must be a RetryBudget or None, not 0.2"),
        ({"rng": 5}, "rng must be a Random or None, not 5"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
    ],
)
def test_nonsense_is_refused_with_the_value_and_the_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retry(**settings)


def test_a_failed_attempt_keeps_nothing_alive() -> None:
    import gc
    import weakref

    class Big:
        pass

    refs = []
    retry, _ = plain()
    calls = 0

    @retry
    def call() -> str:
        nonlocal calls
        calls += 1
        big = Big()
        refs.append(weakref.ref(big))
        if calls == 1:
            raise Down(big)
        return "up"

    gc.disable()
    try:
        call()
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()
