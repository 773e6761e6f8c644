"""The circuit breaker seen from outside: states, permits, verdicts, time."""

import asyncio
import contextlib
import time

import anyio
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, DeadlineExceeded, Rejected
from cqox.resilience import (
    CircuitBreaker,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitState,
    FailureRate,
    Policy,
    ProbeFailed,
    Retry,
    RetryBudget,
    Timeout,
    circuit_breaker,
    deadline,
)
from cqox.resilience.circuit import CircuitMode
from cqox.resilience.testing import FakeClock, capture_events
from tests.resilience.conftest import World, outcome, run_async


class Down(Exception):
    """The dependency is down."""


def fail() -> None:
    raise Down("down")


def succeed() -> str:
    return "up"


def opened(clock: FakeClock, **settings: object) -> CircuitBreaker:
    """A breaker that has just opened, at the present of `clock`."""
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=60.0, clock=clock, **settings)
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    return breaker


def test_failures_in_a_row_open_and_a_success_starts_the_count_anew() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=3, clock=FakeClock())
    failing, working = breaker(fail), breaker(succeed)
    for call in (failing, failing, working, failing, failing):
        with contextlib.suppress(Down):
            call()
        assert breaker.state is CircuitState.CLOSED
    with pytest.raises(Down):
        failing()
    assert breaker.state is CircuitState.OPEN


def test_the_callees_own_exception_reaches_the_caller_also_on_the_call_that_opens() -> None:
    error = Down("this very object")

    @circuit_breaker(failure_threshold=1)
    def call() -> None:
        raise error

    with pytest.raises(Down) as caught:
        call()
    assert caught.value is error
    assert call.breaker.state is CircuitState.OPEN


def test_a_rejection_names_the_circuit_and_the_time_to_the_next_probe() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(12.5)
    with pytest.raises(CircuitOpen) as caught:
        breaker(succeed)()
    assert str(caught.value).startswith("Circuit breaker OPEN for engine")
    assert caught.value.policy == "engine"
    assert caught.value.retry_after == 47.5


def test_rejections_are_fresh_and_have_no_past() -> None:
    breaker = opened(FakeClock())
    seen = []
    for _ in range(2):
        try:
            raise ValueError("what the caller is busy with")
        except ValueError:
            with pytest.raises(CircuitOpen) as caught:
                breaker(succeed)()
        seen.append(caught.value)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
    assert seen[0] is not seen[1]
    assert len(_frames(seen[0])) == len(_frames(seen[1]))


def _frames(error: BaseException) -> list[object]:
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return frames


def test_an_open_circuit_rejects_before_its_time_and_is_probed_at_it(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        breaker = CircuitBreaker("engine", failure_threshold=2, recovery_timeout=60.0, clock=world.clock)
        call = world.guard(breaker, Down(), Down(), "up")
        trace: list[object] = [await outcome(call), await outcome(call)]
        for pause in (0.0, 59.999, 0.001, 0.0):
            await world.sleep(pause)
            trace += [world.now(), breaker.state.value, await outcome(call), breaker.state.value]
        return trace

    assert same_trace(scenario) == [
        *["Down", "Down"],
        *[0.0, "open", "CircuitOpen", "open"],
        *[59.999, "open", "CircuitOpen", "open"],
        *[60.0, "open", "up", "closed"],
        *[60.0, "closed", "up", "closed"],
    ]


def test_a_failed_probe_opens_for_another_full_recovery(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, clock=world.clock)
        call = world.guard(breaker, Down(), Down(), "up")
        trace: list[object] = [await outcome(call)]
        for pause in (10.0, 9.99, 0.01):
            await world.sleep(pause)
            trace += [world.now(), await outcome(call), breaker.state.value]
        return trace

    assert same_trace(scenario) == [
        *["Down", 10.0, "Down", "open", 19.99, "CircuitOpen", "open", 20.0, "up", "closed"],
    ]


def test_steps_of_a_tenth_add_up_to_the_recovery_timeout() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    for _ in range(600):
        clock.advance(0.1)
    assert breaker(succeed)() == "up"


def test_the_wall_clock_has_no_effect(monkeypatch) -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=60.0)
    with pytest.raises(Down):
        breaker(fail)()
    for wall in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda wall=wall: wall)
        with pytest.raises(CircuitOpen):
            breaker(succeed)()


def test_a_half_open_circuit_admits_exactly_its_permits(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, half_open_max_calls=2)
        running = most = 0

        @breaker
        async def call(error: Exception | None = None) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                await anyio.sleep(1)
                if error is not None:
                    raise error
            finally:
                running -= 1

        assert await outcome(lambda: call(Down())) == "Down"
        await anyio.sleep(10)
        results: list[object] = []

        async def caller() -> None:
            results.append(await outcome(call))

        most = 0
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(caller)
        assert most == 2
        assert sorted(map(str, results)) == ["CircuitOpen"] * 98 + ["None"] * 2
        assert breaker.state is CircuitState.CLOSED

    run(main)


def test_as_many_successes_as_permits_close() -> None:
    clock = FakeClock()
    breaker = opened(clock, half_open_max_calls=3)
    clock.advance(60)
    for _ in range(2):
        assert breaker(succeed)() == "up"
        assert breaker.state is CircuitState.HALF_OPEN
    breaker(succeed)()
    assert breaker.state is CircuitState.CLOSED


def test_no_task_and_no_thread_waits_for_recovery() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(1e6)
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().retry_after == 0.0
    assert breaker.state is CircuitState.OPEN


def test_a_probe_that_hangs_loses_its_permit_and_its_late_result_changes_nothing(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, probe_timeout=5.0)

        @breaker
        async def call(seconds: float, error: Exception | None = None) -> str:
            await anyio.sleep(seconds)
            if error is not None:
                raise error
            return "up"

        await outcome(lambda: call(0, Down()))
        await anyio.sleep(10)
        async with anyio.create_task_group() as group:
            group.start_soon(call, 100)
            await anyio.sleep(4.9)
            assert await outcome(lambda: call(0)) == "CircuitOpen"
            await anyio.sleep(0.1)
            assert await outcome(lambda: call(0, Down())) == "Down"
            assert breaker.state is CircuitState.OPEN
        assert breaker.state is CircuitState.OPEN
        snapshot = breaker.snapshot()
        assert (snapshot.stale, snapshot.success, snapshot.failure) == (1, 0, 2)

    run(main)


def test_a_late_result_is_stale_also_where_nobody_took_the_permit() -> None:
    clock = FakeClock()
    breaker = opened(clock, probe_timeout=5.0)
    clock.advance(60)

    def slow() -> str:
        clock.advance(5)
        return "late"

    assert breaker(slow)() == "late"
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.snapshot().stale == 1
    assert breaker(succeed)() == "up"
    assert breaker.state is CircuitState.CLOSED


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), ValueError("ignored")])
def test_a_cancelled_or_ignored_probe_gives_its_permit_back(ending: BaseException) -> None:
    clock = FakeClock()
    breaker = opened(clock, failures=(Down,))
    clock.advance(60)

    def end() -> None:
        raise ending

    for _ in range(3):
        with pytest.raises(type(ending)) as caught:
            breaker(end)()
        assert caught.value is ending
        assert breaker.state is CircuitState.HALF_OPEN
    assert breaker(succeed)() == "up"
    assert breaker.state is CircuitState.CLOSED


def test_the_lease_of_a_probe_is_the_effective_timeout_and_a_second(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0)
        policy = Policy("engine", breaker, Timeout(3.0))

        @policy
        async def call(seconds: float) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)
            raise Down

        await outcome(lambda: call(0))
        await anyio.sleep(10)
        async with anyio.create_task_group() as group:

            async def hang() -> None:
                await outcome(lambda: call(50))

            group.start_soon(hang)
            await anyio.sleep(3.99)
            with pytest.raises(CircuitOpen) as caught:
                await call(0)
            assert caught.value.retry_after == pytest.approx(0.01)
            await anyio.sleep(0.01)
            assert await outcome(lambda: call(0)) == "Down"

    run(main)


@pytest.mark.parametrize("probe_timeout", [1.0, 5.0])
def test_a_lease_not_longer_than_the_attempt_timeout_is_refused(probe_timeout: float) -> None:
    with pytest.raises(ValueError, match=r"probe_timeout .* above the attempt timeout of 5 s, not"):
        Policy("engine", CircuitBreaker("engine", probe_timeout=probe_timeout), Timeout(5.0))
    with pytest.raises(ValueError, match="probe_timeout"):
        Policy("engine", Timeout(5.0), CircuitBreaker("engine", probe_timeout=probe_timeout))
    Policy("engine", CircuitBreaker("engine", probe_timeout=5.5), Timeout(5.0))


def test_results_carry_the_generation_of_their_admission(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0)

        @breaker
        async def call(seconds: float, error: BaseException | None = None) -> None:
            await anyio.sleep(seconds)
            if error is not None:
                raise error

        async def later(seconds: float, error: BaseException | None = None) -> None:
            await outcome(lambda: call(seconds, error))

        async with anyio.create_task_group() as group:
            group.start_soon(later, 2, None)
            group.start_soon(later, 5, Down())
            group.start_soon(later, 6, ValueError())
            group.start_soon(later, 1, Down())
        # Opened at 1; neither the success at 2 nor the failures at 5 and 6 moved that.
        assert breaker.state is CircuitState.OPEN
        assert breaker.snapshot().retry_after == pytest.approx(5.0)
        assert breaker.snapshot().stale == 3
        await anyio.sleep(5)
        await call(0)
        assert breaker.state is CircuitState.CLOSED

    run(main)


def test_a_cancellation_is_no_verdict(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        policy = Policy("engine", breaker, Retry(idempotent=True, exceptions=(BaseException,)))
        attempts = 0

        @policy
        async def hang() -> None:
            nonlocal attempts
            attempts += 1
            async with anyio.create_task_group() as group:  # a cancellation leaves this as a group on Trio
                group.start_soon(anyio.sleep_forever)
                await anyio.sleep_forever()

        for _ in range(3):
            with anyio.move_on_after(50) as scope:
                await hang()
            assert scope.cancelled_caught
        assert attempts == 3
        assert breaker.state is CircuitState.CLOSED
        snapshot = breaker.snapshot()
        assert (snapshot.cancelled, snapshot.calls, snapshot.recent_failures) == (3, 3, 0)

    run(main)


class Held:
    """A lock that an interrupt would find held."""

    def acquire(self) -> bool:
        raise AssertionError("taken")

    __enter__ = acquire

    def __exit__(self, *error: object) -> None:
        raise AssertionError("given back")


@pytest.mark.parametrize("rate", [None, FailureRate(), FailureRate(seconds=30.0)])
def test_a_success_takes_no_lock_that_an_interrupt_could_leave_held(rate: FailureRate | None) -> None:
    breaker, budget = CircuitBreaker("engine", failure_rate=rate), RetryBudget()
    call = Policy("engine", breaker, Retry(budget=budget))(succeed)
    call()
    locks = breaker._circuit.lock, budget._lock
    breaker._circuit.lock = budget._lock = Held()  # type: ignore[assignment]
    assert call() == "up"
    breaker._circuit.lock, budget._lock = locks
    assert breaker.snapshot().success == 2
    assert budget.snapshot().first_attempts == 2


def test_a_group_that_holds_only_cancellations_is_no_verdict() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    group = BaseExceptionGroup("cancelled", [asyncio.CancelledError(), asyncio.CancelledError()])

    def end() -> None:
        raise group

    with pytest.raises(BaseExceptionGroup) as caught:
        breaker(end)()
    assert caught.value is group
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().cancelled == 1


def test_an_interrupt_is_no_verdict_and_is_never_retried() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    calls = 0

    @Policy("engine", breaker, Retry(exceptions=(BaseException,), idempotent=True, clock=FakeClock()))
    def interrupted() -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert calls == 1
    assert breaker.snapshot().cancelled == 1
    assert breaker.state is CircuitState.CLOSED


@pytest.mark.parametrize(
    ("seconds", "timeout", "verdict"),
    [
        (1.0, None, CircuitState.OPEN),
        (0.9, None, CircuitState.CLOSED),
        (0.9, 1.5, CircuitState.OPEN),  # half of the attempt timeout is a fair share
        (0.7, 1.5, CircuitState.CLOSED),
        (1.0, 100.0, CircuitState.OPEN),  # one second is, at the most
        (0.9, 100.0, CircuitState.CLOSED),
    ],
)
def test_a_deadline_is_a_failure_after_a_fair_share(
    run, seconds: float, timeout: float | None, verdict: CircuitState
) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        parts = () if timeout is None else (Timeout(timeout),)
        for hang in (Policy("engine", breaker, *parts)(anyio.sleep_forever),):
            with anyio.CancelScope(), pytest.raises(TimeoutError), deadline(seconds):
                await hang()
        assert breaker.state is verdict

    run(main)


def test_a_cancellation_before_the_deadline_is_no_verdict_however_long_it_took(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        with deadline(100):
            with anyio.move_on_after(99):
                await breaker(anyio.sleep_forever)()
        assert breaker.state is CircuitState.CLOSED
        assert breaker.snapshot().cancelled == 1

    run(main)


def test_an_attempt_that_timed_out_is_a_failure_however_short_it_was(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        call = Policy("engine", breaker, Timeout(0.01))(anyio.sleep_forever)
        assert await outcome(call) == "AttemptTimeout"
        assert breaker.state is CircuitState.OPEN

    run(main)


def test_a_breaker_inside_of_the_timeout_sees_its_end_as_a_failure(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        call = Policy("engine", Timeout(0.4), breaker)(anyio.sleep_forever)
        assert await outcome(call) == "AttemptTimeout"
        assert breaker.state is CircuitState.OPEN

    run(main)


def test_rejections_by_other_parts_never_count() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def full() -> None:
        raise BulkheadFull("slots")

    for _ in range(5):
        with pytest.raises(Rejected):
            breaker(full)()
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().ignored == 5


def test_exceptions_that_are_not_listed_are_ignored_and_leave_the_count_alone() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=2, failures=(Down,), clock=FakeClock())

    def other() -> None:
        raise ValueError

    for call in (fail, other, fail):
        with pytest.raises((Down, ValueError)):
            breaker(call)()
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().ignored == 1


def test_a_predicate_may_say_which_exceptions_are_failures() -> None:
    breaker = CircuitBreaker("engine", 1, failures=lambda error: "down" in str(error), clock=FakeClock())

    def other() -> None:
        raise Down("something else")

    with pytest.raises(Down):
        breaker(other)()
    assert breaker.state is CircuitState.CLOSED
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN


def test_a_predicate_that_raises_holds_no_permit() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(60)

    def broken(error: Exception) -> bool:
        raise ZeroDivisionError

    breaker.reconfigure(failures=broken)
    with pytest.raises(ZeroDivisionError):
        breaker(fail)()
    breaker.reconfigure(failures=(Down,))
    assert breaker(succeed)() == "up"


@pytest.mark.parametrize("rate", [None, FailureRate(slow_call_seconds=5.0)])
@pytest.mark.parametrize("within", [contextlib.nullcontext, lambda: deadline(5.0)])
def test_a_call_that_a_predicate_cannot_judge_is_counted_all_the_same(rate: FailureRate | None, within) -> None:
    def broken(outcome: object) -> bool:
        raise ZeroDivisionError

    breaker = CircuitBreaker("engine", failures=broken, failure_if=broken, failure_rate=rate, clock=FakeClock())
    for call in (fail, succeed):
        with pytest.raises(ZeroDivisionError), within():
            breaker(call)()
    assert (breaker.snapshot().ignored, breaker.snapshot().calls) == (2, 2)


def test_a_returned_value_may_be_a_failure_and_is_returned_all_the_same() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=2, failure_if=lambda status: status >= 500, clock=FakeClock())
    status = breaker(lambda value: value)
    assert [status(200), status(503), status(500)] == [200, 503, 500]
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().failure == 2


def test_a_probe_callable_stands_in_for_the_waiting_call(run) -> None:
    async def main() -> None:
        healthy, calls = False, 0

        async def probe() -> None:
            await anyio.sleep(0.5)
            if not healthy:
                raise Down("still")

        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, probe=probe)

        @breaker
        async def call(error: Exception | None = None) -> str:
            nonlocal calls
            calls += 1
            if error is not None:
                raise error
            return "up"

        await outcome(lambda: call(Down()))
        await anyio.sleep(10)
        with pytest.raises(CircuitOpen) as caught:
            await call()
        assert (calls, caught.value.__context__, caught.value.__cause__) == (1, None, None)
        assert breaker.state is CircuitState.OPEN
        assert caught.value.retry_after == pytest.approx(10.0)
        healthy = True
        await anyio.sleep(10)
        results: list[object] = []

        async def caller() -> None:
            results.append(await outcome(call))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(caller)
        assert sorted(map(str, results)) == ["CircuitOpen"] * 4 + ["up"]
        assert breaker.state is CircuitState.CLOSED

    run(main)


def test_a_cancelled_probe_callable_gives_its_permit_back(run) -> None:
    async def main() -> None:
        seconds = 5.0
        breaker = CircuitBreaker("engine", 1, 10.0, probe=lambda: anyio.sleep(seconds))
        call = breaker(anyio.sleep)

        async def failing() -> None:
            raise Down

        await outcome(breaker(failing))
        await anyio.sleep(10)
        with anyio.move_on_after(1):
            await call(0)
        assert breaker.state is CircuitState.HALF_OPEN
        assert breaker.snapshot().cancelled == 1
        seconds = 0.0
        await call(0)
        assert breaker.state is CircuitState.CLOSED

    run(main)


def test_a_probe_callable_that_hangs_has_failed(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", 1, 10.0, probe=anyio.sleep_forever, probe_timeout=3.0)

        async def failing() -> None:
            raise Down

        await outcome(breaker(failing))
        await anyio.sleep(10)
        start = anyio.current_time()
        assert await outcome(breaker(failing)) == "CircuitOpen"
        assert anyio.current_time() - start == pytest.approx(3.0)
        assert breaker.state is CircuitState.OPEN

    run(main)


@pytest.mark.parametrize(("seconds", "state"), [(5.0, CircuitState.OPEN), (0.5, CircuitState.HALF_OPEN)])
def test_a_probe_callable_that_hangs_until_the_deadline_has_failed_after_a_fair_share(
    run, seconds: float, state: CircuitState
) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", 1, 10.0, probe=anyio.sleep_forever)

        async def failing() -> None:
            raise Down

        call = breaker(failing)
        await outcome(call)
        await anyio.sleep(10)
        with pytest.raises(DeadlineExceeded), deadline(seconds):
            await call()
        assert breaker.state is state
        assert (breaker.snapshot().cancelled, breaker.snapshot().calls) == (1, 2)

    run(main)


def test_a_plain_probe_serves_plain_code_and_false_is_a_failure() -> None:
    clock, healthy = FakeClock(), [False]
    breaker = opened(clock, probe=lambda: healthy[0])
    clock.advance(60)
    with pytest.raises(CircuitOpen):
        breaker(succeed)()
    healthy[0] = True
    clock.advance(60)
    assert breaker(succeed)() == "up"
    assert breaker.state is CircuitState.CLOSED


def test_a_probe_that_must_be_awaited_cannot_serve_plain_code() -> None:
    async def probe() -> None: ...

    breaker = CircuitBreaker("engine", probe=probe)
    with pytest.raises(TypeError, match="coroutine function"):
        breaker(succeed)


def test_a_plain_probe_that_returns_a_coroutine_has_not_succeeded() -> None:
    async def ping() -> None:
        raise AssertionError("nobody awaits it")

    clock = FakeClock()
    breaker = opened(clock, probe=lambda: ping())
    clock.advance(60)
    with capture_events(ProbeFailed) as failed, pytest.raises(CircuitOpen):
        breaker(succeed)()
    assert isinstance(failed[0].error, TypeError)
    assert breaker.state is CircuitState.OPEN


def test_a_rate_over_calls_opens_at_its_bound() -> None:
    rate = FailureRate(rate=0.5, window=10, minimum_calls=4)
    breaker = CircuitBreaker("engine", failure_rate=rate, clock=FakeClock())
    for call in (succeed, succeed, fail):
        breaker.state  # noqa: B018
        with contextlib.suppress(Down):
            breaker(call)()
    assert breaker.state is CircuitState.CLOSED
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN


def test_a_rate_over_seconds_forgets(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        rate = FailureRate(rate=0.5, seconds=30.0, minimum_calls=2)
        breaker = CircuitBreaker("engine", failure_rate=rate, clock=world.clock)
        call = world.guard(breaker, Down(), Down(), Down())
        trace: list[object] = []
        for pause in (0.0, 30.0, 29.0):
            await world.sleep(pause)
            trace += [world.now(), await outcome(call), breaker.state.value]
        return trace

    assert same_trace(scenario) == [0.0, "Down", "closed", 30.0, "Down", "closed", 59.0, "Down", "open"]


def test_slow_calls_open_and_a_slow_probe_opens_again() -> None:
    clock = FakeClock()
    rate = FailureRate(window=4, minimum_calls=2, slow_call_seconds=2.0, slow_call_rate=1.0)
    breaker = CircuitBreaker("engine", recovery_timeout=10.0, failure_rate=rate, clock=clock)

    @breaker
    def call(seconds: float) -> None:
        clock.advance(seconds)

    call(2.0)
    call(2.0)
    assert breaker.state is CircuitState.OPEN
    clock.advance(10)
    call(2.0)
    assert breaker.state is CircuitState.OPEN
    clock.advance(10)
    call(1.9)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().success == 4


def test_a_block_is_guarded_as_a_function_is(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=2)
        for _ in range(2):
            with pytest.raises(Down):
                async with breaker:
                    raise Down
        with pytest.raises(CircuitOpen):
            async with breaker:
                pytest.fail("the block must not run")
        assert breaker.snapshot().calls == 3

    run(main)


def test_plain_blocks_nest_and_interleave() -> None:
    clock = FakeClock()
    outer, inner = CircuitBreaker("outer", clock=clock), CircuitBreaker("inner", clock=clock)
    with outer, inner, outer:
        pass
    with pytest.raises(Down), outer:
        with inner:
            raise Down
    assert (outer.snapshot().success, outer.snapshot().failure) == (2, 1)
    assert (inner.snapshot().success, inner.snapshot().failure) == (1, 1)


def test_a_block_says_nothing_about_returned_values() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, failure_if=lambda value: True, clock=FakeClock())
    with breaker:
        pass
    assert breaker.state is CircuitState.CLOSED


def test_an_isolated_circuit_refuses_until_it_is_reset() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", clock=clock)
    breaker.isolate()
    assert (breaker.state, breaker.snapshot().mode) == (CircuitState.OPEN, CircuitMode.ISOLATED)
    clock.advance(1e6)
    with pytest.raises(CircuitOpen):
        breaker(succeed)()
    breaker.reset()
    assert breaker(succeed)() == "up"


def test_a_disabled_circuit_lets_everything_through_and_counts() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    breaker.disable()
    for _ in range(5):
        with pytest.raises(Down):
            breaker(fail)()
    assert (breaker.state, breaker.snapshot().mode) == (CircuitState.CLOSED, CircuitMode.DISABLED)
    assert breaker.snapshot().failure == 5
    breaker.reset()
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN


def test_an_observing_circuit_judges_and_never_refuses() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=60.0, clock=clock)
    breaker.observe_only()
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    with capture_events() as seen:
        assert breaker(succeed)() == "up"
    assert [(type(event).__name__, event.enforced) for event in seen] == [("CallRejected", False)]
    clock.advance(60)
    breaker(succeed)()
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().rejected == 0
    assert breaker.snapshot().mode is CircuitMode.OBSERVE_ONLY


def test_reset_keeps_the_lifetime_totals_and_makes_calls_under_way_stale() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def call() -> None:
        breaker.reset()
        raise Down

    with pytest.raises(Down):
        breaker(fail)()
    breaker.reset()
    with pytest.raises(Down):
        breaker(call)()
    assert breaker.state is CircuitState.CLOSED
    assert (breaker.snapshot().failure, breaker.snapshot().stale) == (1, 1)


def test_settings_change_at_run_time_without_losing_the_state() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", failure_threshold=5, recovery_timeout=60.0, clock=clock)
    for _ in range(2):
        with pytest.raises(Down):
            breaker(fail)()
    breaker.reconfigure(failure_threshold=3)
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN
    breaker.reconfigure(recovery_timeout=10.0)
    clock.advance(10)
    assert breaker(succeed)() == "up"
    with pytest.raises(ValueError, match="failure_threshold must be an integer of at least 1, not 0"):
        breaker.reconfigure(failure_threshold=0)
    with pytest.raises(TypeError, match="treshold"):
        breaker.reconfigure(treshold=1)
    assert breaker.settings.failure_threshold == 3


def test_a_call_under_way_counts_also_where_settings_changed_meanwhile() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=5, clock=FakeClock())

    def call() -> None:
        breaker.reconfigure(failure_threshold=1)
        raise Down

    with pytest.raises(Down):
        breaker(call)()
    assert breaker.state is CircuitState.OPEN


def test_listeners_see_each_transition_once_in_order_and_outside_of_the_lock() -> None:
    clock, seen = FakeClock(), []
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=10.0, clock=clock)

    def listen(event: object) -> None:
        seen.append((type(event), event.name, event.at))
        breaker.snapshot()  # would wait for ever under the lock

    def broken(event: object) -> None:
        raise ZeroDivisionError

    breaker.subscribe(broken)
    end = breaker.subscribe(listen)
    with pytest.raises(Down):
        breaker(fail)()
    clock.advance(10)
    breaker(succeed)()
    assert seen == [
        (CircuitOpened, "engine", 0.0),
        (CircuitHalfOpened, "engine", 10.0),
        (CircuitClosed, "engine", 10.0),
    ]
    end()
    breaker.isolate()
    assert len(seen) == 3


def test_a_callback_that_subscribed_twice_hears_twice_until_each_is_ended() -> None:
    breaker, heard = CircuitBreaker("engine", clock=FakeClock()), list[object]()
    hear = heard.append
    first, second = breaker.subscribe(hear), breaker.subscribe(hear)
    counts = []
    for end in (first, first, second):
        end()
        heard.clear()
        breaker.isolate()
        counts.append(len(heard))
        breaker.reset()
    assert counts == [1, 1, 0]


def test_a_listener_may_reset_the_circuit_that_it_hears_of() -> None:
    seen = []
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def listen(event: object) -> None:
        if isinstance(event, CircuitOpened):
            breaker.reset()
        seen.append(type(event).__name__)

    breaker.subscribe(listen)
    with pytest.raises(Down):
        breaker(fail)()
    assert seen == ["CircuitOpened", "CircuitClosed"]
    assert breaker(succeed)() == "up"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"failure_threshold": 0}, "failure_threshold must be an integer of at least 1, not 0"),
        ({"failure_threshold": -1}, "not -1"),
        ({"failure_threshold": 2.5}, "not 2.5"),
        ({"failure_threshold": True}, "not True"),
        ({"recovery_timeout": -1.0}, "recovery_timeout must be a number of seconds at least 0, and finite, not -1.0"),
        ({"recovery_timeout": float("nan")}, "not nan"),
        ({"recovery_timeout": float("inf")}, "not inf"),
        ({"recovery_timeout": "60"}, "not '60'"),
        ({"half_open_max_calls": 0}, "half_open_max_calls must be an integer of at least 1, not 0"),
        ({"probe_timeout": 0.0}, "probe_timeout must be a number of seconds above 0"),
        ({"failures": ()}, "failures must be a non-empty tuple of exception classes or a predicate"),
        ({"failures": (1,)}, "failures must be"),
        ({"failures": ValueError}, "failures must be"),
        ({"probe": 3}, "probe must be callable, not 3"),
        ({"failure_if": 3}, "failure_if must be callable, not 3"),
        ({"clock": 3}, "clock must have"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
        ({"failure_rate": 0.5}, "failure_rate must be a FailureRate or None, not 0.5"),
    ],
)
def test_nonsense_is_refused_with_the_value_and_the_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        CircuitBreaker(**{"name": "engine", **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, "rate must be a share above 0 and at most 1, not 0.0"),
        ({"rate": 1.1}, "not 1.1"),
        ({"rate": float("nan")}, "not nan"),
        ({"window": 0}, "window must be an integer of at least 1, not 0"),
        ({"seconds": 0.0}, "seconds must be a number of seconds above 0"),
        ({"window": 5, "seconds": 1.0}, "not in both"),
        ({"minimum_calls": 0}, "minimum_calls must be"),
        ({"slow_call_seconds": -1.0}, "slow_call_seconds must be"),
        ({"slow_call_rate": 0}, "slow_call_rate must be"),
    ],
)
def test_a_nonsense_rate_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FailureRate(**settings)


def test_settings_of_a_decorator_are_checked_before_it_decorates() -> None:
    with pytest.raises(ValueError, match="failure_threshold"):
        circuit_breaker(failure_threshold=0)
    with pytest.raises(ValueError, match="name must be a non-empty string, not ''"):
        circuit_breaker(name="")


def test_a_clock_is_bound_at_first_use_and_another_is_refused() -> None:

    breaker = CircuitBreaker("engine", failure_threshold=1)
    with pytest.raises(Down):
        breaker(fail)()

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"bound to time.monotonic .* cannot be used under MockClock"):
            breaker(succeed)()

    run_async("trio", main)
    breaker.reset()

    async def again() -> str:
        return breaker(succeed)()

    assert run_async("trio", again) == "up"


def test_every_call_ends_in_exactly_one_way() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker("engine", 1, 10.0, failures=(Down,), clock=clock)
    endings = [succeed, fail, succeed]

    def ignored() -> None:
        raise ValueError

    def cancelled() -> None:
        raise KeyboardInterrupt

    def stale() -> None:
        breaker.reset()

    made = 0
    for call in (*endings, ignored, stale, ignored, cancelled, stale):
        made += 1
        with contextlib.suppress(Down, CircuitOpen, ValueError, KeyboardInterrupt):
            breaker(call)()
        clock.advance(4)
    snapshot = breaker.snapshot()
    assert snapshot.calls == made == 8
    assert (snapshot.success, snapshot.failure, snapshot.rejected, snapshot.ignored) == (1, 1, 2, 1)
    assert (snapshot.cancelled, snapshot.stale) == (1, 2)
