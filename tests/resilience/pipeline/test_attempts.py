"""The decision after a failed attempt, without a wait or a call, and the two loops that act on it."""

import math

import anyio
import pytest

from cqox.resilience import (
    AttemptTimeout,
    Bulkhead,
    CircuitBreaker,
    DeadlineExceeded,
    Policy,
    Retry,
    Timeout,
    deadline,
    exponential_backoff_retry,
)
from cqox.resilience.pipeline.attempts import Attempts
from cqox.resilience.pipeline.part import Gate
from cqox.resilience.pipeline.permit import Permit, TimeSpent
from cqox.resilience.pipeline.plan import Stage, plan
from cqox.resilience.runtime.ambient_deadline import ambient
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down, World, outcome


class Recorder(Permit):
    """A permit that records how it was settled."""

    def __init__(self) -> None:
        self.ended: list[object] = []

    def succeed(self, value: object) -> None:
        self.ended.append(value)

    def fail(self, error: BaseException) -> None:
        self.ended.append(type(error).__name__)

    def fail_within_deadline(self, spent: TimeSpent, error: BaseException) -> None:
        self.ended.append(spent.seconds)


def stage(*parts: object) -> Stage:
    (only,) = plan(parts, policy="p", function="f", asynchronous=False, bare=True)
    assert isinstance(only, Stage)
    return only


def test_a_failed_attempt_settles_its_own_permits_and_leaves_those_of_the_call() -> None:
    call, attempt = Recorder(), Recorder()
    held: list[Permit] = [call, attempt]
    attempts = Attempts(stage(Retry(2, 0.5, jitter=False, clock=FakeClock())), None, held, 1)
    assert attempts.failed(Down(), 0.0)
    assert (attempts.delay, held, call.ended, attempt.ended) == (0.5, [call], [], ["Down"])


def test_the_last_attempt_and_a_cancellation_are_followed_by_none() -> None:
    attempts = Attempts(stage(Retry(2, 0.0, clock=FakeClock())), None, [], 0)
    assert attempts.failed(Down(), 0.0)
    assert attempts.controller is not None
    attempts.controller.pause_blocking(attempts.delay)
    assert not attempts.failed(Down(), 0.0)
    attempts.controller.end()
    assert not Attempts(stage(Retry(2, 0.0, clock=FakeClock())), None, [], 0).failed(KeyboardInterrupt(), 0.0)


def test_the_time_of_all_attempts_is_summed_and_unset_while_another_follows() -> None:
    clock = FakeClock()
    with deadline(1000.0, clock=clock):
        attempts = Attempts(stage(Retry(2, 0.0, clock=clock)), ambient.get(), [], 0)
        for seconds in (2.0, 3.0):
            began = clock.now()
            clock.advance(seconds)
            follows = attempts.failed(Down(), began)
            assert (attempts.spent is None) == follows
            assert attempts.controller is not None
            if follows:
                attempts.controller.pause_blocking(attempts.delay)
        attempts.controller.end()
    assert attempts.spent is not None
    assert (attempts.spent.seconds, attempts.spent.attempt_timeout) == (5.0, math.inf)


def test_an_attempt_that_a_gate_rejected_took_no_time() -> None:
    clock = FakeClock()
    with deadline(1000.0, clock=clock):
        attempts = Attempts(stage(Retry(1, clock=clock)), ambient.get(), [], 0)
        assert not attempts.failed(Down(), None)
    assert attempts.spent is None


def test_an_attempt_that_ended_in_a_queue_takes_nothing_from_what_the_callee_had_before() -> None:
    clock = FakeClock()
    with deadline(1000.0, clock=clock):
        attempts = Attempts(stage(Retry(2, 0.0, clock=clock)), ambient.get(), [], 0)
        began = clock.now()
        clock.advance(2.0)
        assert attempts.failed(Down(), began)
        assert attempts.controller is not None
        attempts.controller.pause_blocking(attempts.delay)
        clock.advance(3.0)
        assert not attempts.failed(Down(), None)
        attempts.controller.end()
    assert attempts.spent is not None
    assert attempts.spent.seconds == 2.0


def test_a_dependency_that_had_its_share_has_failed_where_the_next_attempt_ends_in_a_queue(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        policy = Policy("p", breaker, Retry(2, 0.1, jitter=False, idempotent=True), Bulkhead(1, max_queued=1))

        async def slow_and_down() -> None:
            await anyio.sleep(1.5)
            raise Down

        async def in_the_way() -> None:
            await anyio.sleep(0.5)
            await policy.call(anyio.sleep, 1.0)

        async with anyio.create_task_group() as group:
            group.start_soon(in_the_way)
            with pytest.raises(DeadlineExceeded), deadline(1.8):
                await policy.call(slow_and_down)
        snapshot = breaker.snapshot()
        assert (snapshot.state.value, snapshot.failure, snapshot.cancelled, snapshot.stale) == ("open", 1, 0, 1)

    run(main)


class Turnstile(Gate):
    """A gate that rejects the attempts of some numbers."""

    name = "turnstile"

    def __init__(self, *closed: int) -> None:
        self.closed = closed
        self.permits: list[Recorder] = []

    def admit(self, deadline: object) -> Permit:
        self.permits.append(Recorder())
        if len(self.permits) in self.closed:
            raise Down("closed")
        return self.permits[-1]


def test_the_two_loops_make_the_same_attempts(same_trace) -> None:
    async def scenario(world: World) -> list[object]:
        trace: list[object] = []
        for steps in ((Down(), "up"), (Down(), Down(), "up"), (Down(), Down(), Down()), (Down(), ValueError())):
            gate = Turnstile(2)
            retry = Retry(3, 1.0, jitter=False, exceptions=(Down,), idempotent=True, clock=world.clock)
            trace += [await outcome(world.guard(Policy("p", retry, gate), *steps)), world.now()]
            trace += [permit.ended for permit in gate.permits]
        return trace

    assert same_trace(scenario)[:5] == ["up", 3.0, ["Down"], [], ["up"]]


def test_a_plain_function_that_returned_a_coroutine_is_not_tried_again() -> None:
    calls = 0

    async def answer() -> str:
        return "up"

    @exponential_backoff_retry(3, 0.0)
    def wrong() -> object:
        nonlocal calls
        calls += 1
        return answer()

    with pytest.raises(TypeError, match="returned a coroutine"):
        wrong()
    assert calls == 1


def test_a_further_attempt_is_bounded_like_the_first(run) -> None:
    async def main() -> None:
        guarded = Policy("p", Retry(3, 0.0, idempotent=True), Timeout(1.0))(anyio.sleep)
        began = anyio.current_time()
        with pytest.raises(AttemptTimeout):
            await guarded(5.0)
        assert anyio.current_time() - began == pytest.approx(3.0)
        with pytest.raises(DeadlineExceeded), deadline(1.5):
            await guarded(5.0)

    run(main)
