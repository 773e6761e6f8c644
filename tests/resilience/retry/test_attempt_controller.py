"""Reasons to give up: deadline, Retry-After, budget, idempotence, a retry upstream, an enclosing circuit."""

from dataclasses import dataclass

import anyio
import anyio.to_thread
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import (
    CircuitBreaker,
    CircuitState,
    Hedge,
    Policy,
    Retry,
    RetryBudget,
    Timeout,
    deadline,
    exponential_backoff_retry,
)
from cqox.resilience.pipeline.part import StageContext
from cqox.resilience.retry.attempt_controller import RetryController
from cqox.resilience.runtime.call_context import attempt_made, attempt_served
from cqox.resilience.testing import FakeClock, Script
from tests.resilience.conftest import Down, World, outcome
from tests.resilience.retrying import asking, plain


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


def test_an_exception_that_takes_no_note_reaches_the_caller_without_one() -> None:
    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    retry, clock = plain()
    error = Frozen(503)
    with pytest.raises(Frozen) as caught:
        with deadline(0.5, clock=clock):
            retry(Script(error).__call__)()
    assert caught.value is error


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


def test_inside_of_a_policy_only_what_was_never_sent_is_repeated_unless_idempotent() -> None:
    def attempts(error: Exception, **settings: object) -> int:
        script = Script(error)
        policy = Policy("orders", Retry(3, 0.0, clock=FakeClock(), **settings))
        with pytest.raises(type(error)):
            policy(script.__call__)()
        return script.calls

    assert attempts(ConnectionResetError("cut")) == 1
    assert attempts(ConnectionRefusedError("refused")) == 1
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


def test_the_end_of_the_attempts_restores_the_attempt_number_and_may_come_twice() -> None:
    retry, _ = plain(max_attempts=3)
    controller = RetryController(retry, (), StageContext(policy="p", asynchronous=False))
    numbers = []
    while (seconds := controller.after(Down())) is not None:
        controller.pause_blocking(seconds)
        numbers.append(attempt_made.get())
    assert numbers == [1, 2]
    for _ in range(2):
        controller.end()
        assert attempt_made.get() == 0


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


def test_notes_on_an_exception_that_is_raised_again_and_again_do_not_pile_up() -> None:
    error = Down("one object")
    error.add_note("the callee's own")
    for attempts, seconds in enumerate((3.0, 2.5, 1.25, 0.5), start=1):
        clock = FakeClock()
        retry = Retry(3 + attempts, 0.4, jitter=False, idempotent=True, clock=clock)
        call = Policy("shared", retry)(Script(error).__call__)
        with pytest.raises(Down), deadline(seconds / 10, clock=clock):
            call()
    assert error.__notes__[0] == "the callee's own"
    assert len(error.__notes__) == 2
    for number in range(100):
        budget = RetryBudget(0.0, 0.0, name=f"budget of {'x' * number}")
        budget.may_retry()
        with pytest.raises(Down):
            Policy("shared", Retry(3, 0.0, idempotent=True, budget=budget))(Script(error).__call__)()
    assert error.__notes__[0] == "the callee's own"
    assert len(error.__notes__) == 9
    assert f"budget of {'x' * 92} is exhausted" in error.__notes__[1]
    assert f"budget of {'x' * 99} is exhausted" in error.__notes__[-1]
