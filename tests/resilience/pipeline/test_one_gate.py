"""The most common stage, and calls of a policy of one gate: they leave what a call through any other stage leaves."""

import ast
import inspect
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import anyio
import pytest

from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    CircuitState,
    DeadlineExceeded,
    FailureRate,
    Policy,
    Retry,
    Timeout,
    deadline,
)
from cqox.resilience.pipeline.one_gate import bind_one_gate, bind_one_gate_call
from cqox.resilience.pipeline.part import Part
from cqox.resilience.pipeline.plan import plan
from cqox.resilience.testing import FakeClock, disabled
from tests.resilience.conftest import Down, Run

type Call = Callable[..., Awaitable[object]]


def slow_counting(clock: FakeClock, **settings: object) -> CircuitBreaker:
    rate = FailureRate(window=100, minimum_calls=50, slow_call_seconds=2.0)
    return CircuitBreaker("slow", failure_rate=rate, clock=clock, **settings)


def decorated(policy: Policy, function: Call) -> Call:
    return policy(function)


def called(policy: Policy, function: Call) -> Call:
    return lambda *args, **kwargs: policy.call(function, *args, **kwargs)


@pytest.mark.parametrize("way", [decorated, called])
@pytest.mark.parametrize("within", [nullcontext, lambda: deadline(1e9)])
@pytest.mark.parametrize("inside", [(), (Timeout(1e6),), (Retry(1, idempotent=True),)])
@pytest.mark.parametrize("bad", [None, lambda value: value == "bad"])
def test_each_call_is_slow_from_its_own_seconds_on_and_has_one_outcome(way, within, inside, bad, run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        breaker = slow_counting(clock, failure_if=bad)

        async def take(seconds: float, *, error: BaseException | None = None, value: str = "good") -> str:
            clock.advance(seconds)
            if error is not None:
                raise error
            return value

        call = way(Policy("slow", breaker, *inside), take)
        with within():
            for seconds in (0.0, 1.9, 2.0, 5.0):
                assert await call(seconds) == "good"
            assert breaker.snapshot().recent_slow == 2
            for seconds in (1.9, 2.0):
                with pytest.raises(Down):
                    await call(seconds, error=Down())
            assert await call(3.0, value="bad") == "bad"
            with pytest.raises(KeyboardInterrupt):
                await call(2.0, error=KeyboardInterrupt())
        snapshot = breaker.snapshot()
        failures = 2 if bad is None else 3
        assert (snapshot.success, snapshot.failure, snapshot.cancelled) == (7 - failures, failures, 1)
        assert (snapshot.recent_slow, snapshot.recent_failures, snapshot.recent_calls) == (4, failures, 7)

    run(main)


def test_a_plain_call_is_slow_from_its_own_seconds_on() -> None:
    clock = FakeClock()
    breaker = slow_counting(clock)

    def take(seconds: float, value: object = None, error: Exception | None = None) -> object:
        clock.advance(seconds)
        if error is not None:
            raise error
        return value

    policy = Policy("slow", breaker)
    for call in (policy(take), lambda *args: policy.call(take, *args)):
        for value in (None, 1, "word", None):
            assert call(2.0, value) == value
        assert call(1.5) is None
        with pytest.raises(Down):
            call(2.0, None, Down())
    snapshot = breaker.snapshot()
    assert (snapshot.success, snapshot.failure, snapshot.recent_slow) == (10, 2, 10)


def test_concurrent_calls_keep_their_own_beginnings(run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        breaker, ends = slow_counting(clock), [anyio.Event() for _ in range(3)]
        policy = Policy("slow", breaker)

        async def wait(number: int) -> None:
            await ends[number].wait()

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(policy.call if number else policy(wait), *([wait] if number else []), number)
                await anyio.wait_all_tasks_blocked()
                clock.advance(1.0)
            ends[2].set()  # it took 1 s
            await anyio.wait_all_tasks_blocked()
            ends[1].set()  # 2 s
            ends[0].set()  # 3 s
        assert (breaker.snapshot().success, breaker.snapshot().recent_slow) == (3, 2)

    run(main)


def test_a_slow_call_that_was_admitted_before_the_circuit_opened_is_stale(run: Run) -> None:
    async def main() -> None:
        breaker = slow_counting(clock := FakeClock())

        async def meanwhile_isolated() -> None:
            clock.advance(9.0)
            breaker.isolate()
            breaker.reset()

        for call in (breaker(meanwhile_isolated), called(Policy("slow", breaker), meanwhile_isolated)):
            await call()
        snapshot = breaker.snapshot()
        assert (snapshot.stale, snapshot.recent_slow, snapshot.calls) == (2, 0, 2)

    run(main)


def test_a_cancelled_call_of_a_policy_of_one_gate_is_no_verdict(run: Run) -> None:
    async def main() -> None:
        for breaker in (CircuitBreaker("engine", 1), slow_counting(FakeClock())):
            policy = Policy("engine", breaker)
            for _ in range(2):
                with anyio.move_on_after(5) as scope:
                    await policy.call(anyio.sleep_forever)
                assert scope.cancelled_caught
            assert breaker.state is CircuitState.CLOSED
            assert (breaker.snapshot().cancelled, breaker.snapshot().calls) == (2, 2)

    run(main)


def test_calls_of_a_policy_of_one_gate_are_judged_rejected_and_bounded_as_decorated_ones(run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        breaker = CircuitBreaker("engine", 2, 60.0, clock=clock)
        policy = Policy("engine", breaker)

        async def echo(*args: object, **kwargs: object) -> object:
            return args, kwargs

        async def fail() -> None:
            raise Down

        assert await policy.call(echo) == ((), {})
        assert await policy.call(echo, 1, function=2, args=3) == ((1,), {"function": 2, "args": 3})
        with deadline(0.0), pytest.raises(DeadlineExceeded) as expired:
            await policy.call(echo)
        assert expired.value.before_call
        for _ in range(2):
            with pytest.raises(Down):
                await policy.call(fail)
        for _ in range(2):
            with pytest.raises(CircuitOpen) as refused:
                await policy.call(echo)
            assert refused.value.retry_after == 60.0
        with disabled():
            assert await policy.call(echo) == ((), {})
        clock.advance(60.0)
        assert await policy.call(echo) == ((), {})
        assert await policy.call(echo) == ((), {})
        assert breaker.state is CircuitState.CLOSED
        snapshot = breaker.snapshot()
        assert (snapshot.success, snapshot.failure, snapshot.rejected, snapshot.calls) == (4, 2, 2, 8)

    run(main)


def test_a_call_starts_when_it_is_awaited_and_sees_the_deadline_of_then(run: Run) -> None:
    async def main() -> None:
        policy = Policy("engine", CircuitBreaker("engine"))
        await policy.call(anyio.sleep, 0)
        late = policy.call(anyio.sleep, 0)
        with deadline(0.0), pytest.raises(DeadlineExceeded):
            await late

    run(main)


def test_both_ways_to_call_through_one_gate_have_the_same_steps() -> None:
    steps = []
    for bind in (bind_one_gate, bind_one_gate_call):
        tree = ast.parse(inspect.getsource(bind))
        guarded = next(node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef))
        steps.append([ast.dump(step) for step in guarded.body])
    assert steps[0] == steps[1]


def test_a_stage_of_one_gate_is_called_with_the_function_as_an_argument() -> None:
    def is_called(*parts: Part) -> bool:
        return bind_one_gate_call(plan(parts, policy="p", function="f", asynchronous=True, bare=False)) is not None

    assert is_called(CircuitBreaker("a"))
    assert is_called(Bulkhead(5))
    assert is_called(CircuitBreaker("b"), Retry(idempotent=True), Timeout(1.0))
    assert not is_called(CircuitBreaker("c"), Retry(idempotent=True, retry_if=bool))
    assert not is_called(CircuitBreaker("d"), Retry())
    assert not is_called(Timeout(1.0))
    assert not is_called(deadline(5.0), CircuitBreaker("e"))
    assert not is_called(CircuitBreaker("f"), CircuitBreaker("g"))
