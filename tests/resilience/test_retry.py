"""Retries: when there is another attempt, when there is none, and what is said about it."""

import asyncio
import logging
import math
import re
import warnings
from email.utils import formatdate
from random import Random

import anyio
import anyio.to_thread
import pytest

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen, DeadlineExceeded, Rejected, ResilienceError
from cqox.resilience import (
    CircuitBreaker,
    CircuitState,
    Hedge,
    Policy,
    Retry,
    RetryBudget,
    Timeout,
    _retry_judge,
    deadline,
    exponential_backoff_retry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience._hop import attempt_made, attempt_served, call_key
from cqox.resilience.testing import FakeClock, Script, capture_events
from tests.resilience.conftest import World, outcome


class Down(Exception):
    """The dependency is down."""


class Response:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


async def judged_later(error: Exception) -> bool:
    return False


def asking(**headers: str) -> Down:
    error = Down("busy")
    error.response = Response(**headers)
    return error


def plain(**settings: object) -> tuple[Retry, FakeClock]:
    clock = FakeClock()
    return Retry(**{"jitter": False, "idempotent": True, "clock": clock, **settings}), clock


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


def test_only_listed_exceptions_are_retried() -> None:
    retry, clock = plain(exceptions=(Down,))
    script = Script(ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        retry(script.__call__)()
    assert (script.calls, clock.sleeps) == (1, [])


def test_a_predicate_may_decide() -> None:
    retry, _ = plain(exceptions=lambda error: "soon" in str(error))
    script = Script(Down("soon"), Down("never"))
    with pytest.raises(Down, match="never"):
        retry(script.__call__)()
    assert script.calls == 2


@pytest.mark.parametrize("listed", [(Exception,), (ResilienceError,), (Exception, ValueError), (CircuitOpen,)])
def test_rejections_are_not_retried_by_default(listed: tuple[type[Exception], ...]) -> None:
    retry, _ = plain(exceptions=listed)
    script = Script(BulkheadFull("slots"))
    with pytest.raises(BulkheadFull):
        retry(script.__call__)()
    assert script.calls == 1


@pytest.mark.parametrize("listed", [BulkheadFull, Rejected])
def test_a_rejection_listed_by_name_is_retried_after_what_it_asks_for(listed: type[Exception]) -> None:
    retry, clock = plain(exceptions=(listed,))
    script = Script(BulkheadFull("slots", retry_after=4.0), "up")
    assert retry(script.__call__)() == "up"
    assert clock.sleeps == [4.0]


def test_a_timeout_of_an_attempt_is_retried(run) -> None:
    async def main() -> None:
        attempts = 0

        @Policy("slow", Retry(3, 1.0, jitter=False, idempotent=True), Timeout(2.0))
        async def call() -> int:
            nonlocal attempts
            attempts += 1
            if attempts < 3:
                await anyio.sleep_forever()
            return attempts

        start = anyio.current_time()
        assert await call() == 3
        assert anyio.current_time() - start == pytest.approx(2 + 1 + 2 + 2)

    run(main)


def test_a_group_is_retried_only_if_every_leaf_is() -> None:
    retry, _ = plain(exceptions=(Down,))
    good = ExceptionGroup("all", [Down("a"), ExceptionGroup("more", [Down("b")])])
    bad = ExceptionGroup("mixed", [Down("a"), ExceptionGroup("more", [ValueError("b")])])
    script = Script(good, bad)
    with pytest.raises(ExceptionGroup) as caught:
        retry(script.__call__)()
    assert script.calls == 2
    assert caught.value is bad


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
def test_a_base_exception_is_never_retried(error: BaseException) -> None:
    retry, _ = plain(exceptions=(BaseException,))
    script = Script(error)
    with pytest.raises(type(error)) as caught:
        retry(script.__call__)()
    assert caught.value is error
    assert script.calls == 1


def test_a_group_of_base_exceptions_is_never_retried() -> None:
    retry, _ = plain(exceptions=(BaseException,))
    script = Script(BaseExceptionGroup("mixed", [Down(), KeyboardInterrupt()]))
    with pytest.raises(BaseExceptionGroup):
        retry(script.__call__)()
    assert script.calls == 1


def test_a_cancellation_ends_a_pause_and_the_call(run) -> None:
    async def main() -> None:
        script = Script(Down())
        with anyio.move_on_after(0.5) as scope:
            await exponential_backoff_retry(base_delay=100.0)(script.call)()
        assert scope.cancelled_caught
        assert script.calls == 1
        assert attempt_made.get() == 0

    run(main)


def test_a_pause_that_would_outlast_the_deadline_is_not_begun(same_trace) -> None:
    error = Down("last")

    async def scenario(world: World) -> list[object]:
        error.__dict__.pop("__notes__", None)
        retry = Retry(5, 2.0, jitter=False, idempotent=True, clock=world.clock)
        call = world.guard(retry, Down(), error, "too late")
        with deadline(6.0, clock=world.clock):
            trace = [await outcome(call), world.now()]
        return [*trace, *error.__notes__]

    note = "no further attempt was made after 2: the pause, 4.00 s, would outlast the deadline, 4.00 s from now"
    assert same_trace(scenario) == ["Down", 2.0, note]


def test_a_deadline_that_passes_while_it_pauses_leaves_the_last_exception() -> None:
    clock = FakeClock()
    last = Down("last")
    script = Script(last, "too late")
    retry = Retry(2, 1.0, jitter=False, idempotent=True, clock=clock)
    sleep = clock.sleep
    clock.sleep = lambda seconds: sleep(seconds * 5)  # a machine that was suspended
    with pytest.raises(Down) as caught, deadline(3.0, clock=clock):
        retry(script.__call__)()
    assert caught.value is last
    assert script.calls == 1
    assert "the deadline has passed" in last.__notes__[0]


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


def test_a_server_that_asks_for_more_than_the_cap_ends_the_attempts() -> None:
    retry, clock = plain(max_delay=10.0)
    error = asking(retry_after="11")
    with pytest.raises(Down) as caught:
        retry(Script(error).__call__)()
    assert caught.value is error
    assert error.__notes__ == [
        "no further attempt was made after 1: Retry-After asks for 11 s, and at most 10 s are waited"
    ]
    assert clock.sleeps == []
    retry, clock = plain(max_delay=10.0, max_retry_after=20.0)
    assert retry(Script(asking(retry_after="11"), "up").__call__)() == "up"
    assert clock.sleeps == [11.0]


def test_a_server_that_asks_for_more_than_the_deadline_ends_the_attempts() -> None:
    retry, clock = plain()
    error = asking(retry_after="30")
    with pytest.raises(Down), deadline(20.0, clock=clock):
        retry(Script(error).__call__)()
    assert "the wait that Retry-After asks for, 30.00 s, would outlast the deadline" in error.__notes__[0]
    assert clock.sleeps == []


def test_an_exhausted_budget_leaves_the_last_exception_at_once() -> None:
    clock = FakeClock()
    budget = RetryBudget(ratio=0.0, floor_per_second=0.1, clock=clock)
    retry, _ = plain(max_attempts=10, budget=budget, base_delay=0.0)
    error = Down("last")
    script = Script(Down("first"), error)
    with pytest.raises(Down) as caught:
        retry(script.__call__)()
    assert caught.value is error
    assert script.calls == 2
    assert "retry budget is exhausted" in error.__notes__[0]
    assert retry(Script("up").__call__)() == "up"


def test_a_call_that_cannot_be_retried_spends_no_budget() -> None:
    clock = FakeClock()
    budget = RetryBudget(ratio=0.0, floor_per_second=0.1, clock=clock)
    retry, _ = plain(max_attempts=2, budget=budget, base_delay=5.0)
    with pytest.raises(Down), deadline(1.0, clock=clock):
        retry(Script(Down()).__call__)()
    assert budget.snapshot().granted == 0
    assert budget.snapshot().first_attempts == 1


def test_a_budget_bounds_the_retries_of_a_hundred_tasks(run) -> None:
    async def main() -> None:
        budget = RetryBudget(ratio=0.2, floor_per_second=1.0)
        script = Script(Down())
        call = Policy("storm", Retry(5, 0.01, jitter=False, idempotent=True, budget=budget))(script.call)
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(outcome, call)
        snapshot = budget.snapshot()
        assert snapshot.first_attempts == 100
        assert snapshot.granted <= 10 + 0.2 * 100 + 1.0
        assert script.calls == 100 + snapshot.granted

    run(main)


def test_a_request_that_is_itself_a_retry_makes_one_attempt() -> None:
    retry, _ = plain()
    error = Down()
    script = Script(error)
    token = attempt_served.set(1)
    try:
        with pytest.raises(Down):
            retry(script.__call__)()
    finally:
        attempt_served.reset(token)
    assert script.calls == 1
    assert "the request in hand is itself a retry" in error.__notes__[0]


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


def test_inside_of_a_policy_only_what_was_never_sent_is_repeated_unless_idempotent() -> None:
    def attempts(error: Exception, **settings: object) -> int:
        script = Script(error)
        policy = Policy("orders", Retry(3, 0.0, clock=FakeClock(), **settings))
        with pytest.raises(type(error)):
            policy(script.__call__)()
        return script.calls

    assert attempts(ConnectionResetError("cut")) == 1
    assert attempts(ConnectionRefusedError("refused")) == 3
    assert attempts(ConnectionResetError("cut"), idempotent=True) == 3


def test_a_bare_decorator_counts_as_idempotent() -> None:
    script = Script(ConnectionResetError("cut"), "up")
    assert Retry(2, 0.0, clock=FakeClock())(script.__call__)() == "up"
    script = Script(ConnectionResetError("cut"), "up")
    assert exponential_backoff_retry(base_delay=0.0, clock=FakeClock())(script.__call__)() == "up"


def test_what_stopped_a_call_that_is_not_idempotent_is_said() -> None:
    error = Down("maybe done")
    with pytest.raises(Down):
        Policy("orders", Retry(3, clock=FakeClock()))(Script(error).__call__)()
    assert "not idempotent" in error.__notes__[0]


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


def test_a_breaker_outside_of_the_retry_counts_calls_and_inside_counts_attempts() -> None:
    for inside, failures in ((False, 1), (True, 3)):
        breaker = CircuitBreaker("engine", failure_threshold=10, clock=FakeClock())
        retry = Retry(3, 0.0, idempotent=True, clock=FakeClock())
        policy = Policy("engine", *((retry, breaker) if inside else (breaker, retry)))
        with pytest.raises(Down):
            policy(Script(Down()).__call__)()
        assert breaker.snapshot().failure == failures


@pytest.mark.parametrize("between", [(), (Timeout(1000.0),)])
def test_attempts_end_once_the_enclosing_circuit_has_left_the_generation_of_the_call(run, between) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        last = Down("mine")
        script = Script(last)
        policy = Policy("engine", breaker, *between, Retry(5, 10.0, jitter=False, idempotent=True))

        async def other() -> None:
            await anyio.sleep(3)
            with pytest.raises(ValueError, match="other"):
                async with breaker:
                    raise ValueError("other")

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            with pytest.raises(Down) as caught:
                await policy(script.call)()
        assert caught.value is last
        assert script.calls == 1
        assert "an enclosing circuit has changed its state" in last.__notes__[0]
        assert breaker.snapshot().stale == 1

    run(main)


def test_no_pause_is_made_where_the_circuit_has_left_already(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        policy = Policy("engine", breaker, Retry(5, 10.0, idempotent=True))

        @policy
        async def call() -> None:
            with pytest.raises(ValueError, match="other"):
                async with breaker:
                    raise ValueError("other")
            raise Down

        start = anyio.current_time()
        with pytest.raises(Down):
            await call()
        assert anyio.current_time() == start

    run(main)


@pytest.mark.parametrize("between", [(), (Timeout(1000.0),)])
def test_a_half_open_probe_makes_one_attempt(run, between) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0)
        script = Script(Down())
        call = Policy("engine", breaker, *between, Retry(3, 0.1, idempotent=True))(script.call)
        assert await outcome(call) == "Down"
        assert script.calls == 3
        await anyio.sleep(10)
        assert await outcome(call) == "Down"
        assert script.calls == 4
        assert breaker.state is CircuitState.OPEN

    run(main)


@pytest.mark.parametrize("first", [(), (Hedge(500.0),), (Timeout(500.0),)])
def test_the_circuit_of_another_policy_further_out_is_not_asked(run, first) -> None:
    async def main() -> None:
        breaker, script = CircuitBreaker("other", failure_threshold=1), Script(Down(), Down(), "up")
        call = Policy("inner", *first, Retry(3, 0.1, idempotent=True))(script.call)

        async def outer() -> object:
            async def fails() -> None:
                raise Down

            await outcome(breaker(fails))
            return await call()

        assert await Policy("outer", breaker, Timeout(1000.0), Retry(2, 0.1))(outer)() == "up"

    run(main)


def test_a_rejection_between_attempts_has_no_past() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    call = Policy("engine", Retry(3, 0.0, idempotent=True, clock=FakeClock()), breaker)(Script(Down()).__call__)
    with pytest.raises(CircuitOpen) as caught:
        call()
    assert caught.value.__context__ is None


def test_each_retry_is_logged_as_the_owners_document_has_it(caplog) -> None:
    retry, _ = plain(max_attempts=3, jitter=True, rng=Random(1))
    with caplog.at_level(logging.WARNING, "cqox.resilience"), pytest.raises(Down):
        retry(Script(Down("engine unreachable")).__call__)()
    first, second, third = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"\[Retry\] Attempt 1/3 failed: engine unreachable\. Retrying in \d+\.\d\ds\.\.\.", first)
    assert re.fullmatch(r"\[Retry\] Attempt 2/3 failed: engine unreachable\. Retrying in \d+\.\d\ds\.\.\.", second)
    assert third == "[Retry] Attempt 3/3 failed: engine unreachable. Giving up: 3 attempts were made."
    assert {record.name for record in caplog.records} == {"cqox.resilience"}


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
    assert seen[2].delay == 1.0
    assert seen[5].error is error
    assert [event.at for event in seen] == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_pause_on_a_thread_with_a_loop_warns_once_for_each_line(run) -> None:
    async def main() -> None:
        def call() -> object:
            return plain(base_delay=0.0)[0](Script(Down(), "up").__call__)()

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(3):
                call()
            await anyio.to_thread.run_sync(call)
        assert [warning.category for warning in seen] == [RuntimeWarning]
        assert seen[0].filename == __file__

    _retry_judge._warned_of.clear()
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_attempts": 0}, "max_attempts must be an integer of at least 1, not 0"),
        ({"base_delay": -1}, "base_delay must be a number of seconds at least 0, and finite, not -1"),
        ({"base_delay": math.nan}, "not nan"),
        ({"max_delay": math.inf}, "not inf"),
        ({"jitter": "half"}, "jitter must be True, False,"),
        ({"jitter": 1}, "jitter must be True, False,"),
        ({"exceptions": ()}, "exceptions must be a non-empty tuple"),
        ({"exceptions": ("Down",)}, "exceptions must be"),
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


def test_network_and_database_errors_have_decorators_of_their_own() -> None:
    def attempts(decorate: object, error: Exception) -> int:
        script = Script(error)
        with pytest.raises(type(error)):
            decorate(base_delay=0.0, clock=FakeClock())(script.__call__)()
        return script.calls

    class SerializationFailure(Exception):
        sqlstate = "40001"

    assert attempts(retry_on_network_error, ConnectionResetError("cut")) == 3
    assert attempts(retry_on_network_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_database_error, SerializationFailure()) == 3
    assert attempts(retry_on_database_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_network_error, SerializationFailure()) == 1


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


def test_an_attempt_timeout_names_its_limit(run) -> None:
    async def main() -> None:
        with pytest.raises(AttemptTimeout) as caught:
            await Timeout(2.5)(anyio.sleep_forever)()
        assert caught.value.seconds == 2.5
        assert isinstance(caught.value, TimeoutError)
        assert not isinstance(caught.value, DeadlineExceeded)

    run(main)
