"""State transitions: opening, rejection, probing and closing."""

import contextlib
import time

import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, CircuitState, FailureRate, circuit_breaker
from cqox.resilience.circuit.state import HalfOpen, Open
from cqox.resilience.testing import FakeClock
from tests.resilience.circuit.callees import fail, opened, succeed
from tests.resilience.conftest import Down, World, outcome


def test_consecutive_failures_open_and_a_success_resets_the_count() -> None:
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


def test_no_task_and_no_thread_waits_for_recovery() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(1e6)
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().retry_after == 0.0
    assert breaker.state is CircuitState.OPEN


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


def test_an_open_circuit_is_over_at_its_recovery_timeout_despite_rounding() -> None:
    phase = Open(100.0)
    assert phase.seconds_left(100.0, 60.0) == 60.0
    assert phase.seconds_left(159.5, 60.0) == 0.5
    assert [phase.seconds_left(now, 60.0) for now in (160.0 - 1e-10, 160.0, 200.0)] == [0.0, 0.0, 0.0]


def test_leases_are_taken_up_to_the_permits_and_again_once_one_expires_or_is_released() -> None:
    phase = HalfOpen()
    assert phase.seconds_left(0.0) == 0.0
    first, second = phase.take(0.0, 5.0, 2), phase.take(1.0, 9.0, 2)
    assert first is not None
    assert second is not None
    assert phase.take(4.0, 5.0, 2) is None
    assert phase.seconds_left(4.0) == 1.0
    third = phase.take(5.0, 5.0, 2)
    assert third is not None
    assert phase.take(5.0, 5.0, 2) is None
    assert not phase.release(first, 5.0)
    assert phase.release(second, 6.0)
    assert not phase.release(second, 6.0)
    assert not phase.release(third, 10.0)
    assert phase.seconds_left(10.0) == 0.0
