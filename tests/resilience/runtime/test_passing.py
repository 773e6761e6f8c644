"""Calls that pass without their parts, for tests."""

import contextlib
import math
import threading

import anyio
import pytest

from cqox.errors import AttemptTimeout, BulkheadFull, CircuitOpen
from cqox.resilience import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Timeout,
    api_timeout,
    circuit_breaker,
    deadline,
    exponential_backoff_retry,
    remaining,
)
from cqox.resilience.testing import FakeClock, Script, capture_events, disabled
from tests.resilience.conftest import Down


def everything(budget: RetryBudget, breaker: CircuitBreaker, slots: Bulkhead) -> Policy:
    retry = Retry(3, 60.0, jitter=False, idempotent=True, budget=budget, max_duration=600.0)
    return Policy("engine", deadline(100.0), slots, RateLimit(1, 3600.0), breaker, retry, Timeout(0.5))


def test_a_call_of_any_policy_passes_straight_through(run) -> None:
    async def main() -> None:
        budget, breaker, slots = RetryBudget(), CircuitBreaker("engine", failure_threshold=1), Bulkhead(1)
        policy = everything(budget, breaker, slots)
        error, left = Down("of the callee"), list[float]()

        @policy
        async def slow() -> str:
            left.append(remaining())
            await anyio.sleep(50)
            return "late"

        script = Script(error)
        with disabled(), capture_events() as events:
            for _ in range(3):
                with pytest.raises(Down) as caught:
                    await policy.call(script.call)
                assert caught.value is error
            assert await slow() == "late"
        assert (script.calls, left, events) == (3, [math.inf], [])
        assert breaker.snapshot().calls == slots.snapshot().admitted == budget.snapshot().first_attempts == 0
        assert not hasattr(error, "__notes__")
        with pytest.raises(AttemptTimeout):
            await slow()
        assert breaker.state == "open"

    run(main)


def test_an_open_circuit_and_a_full_bulkhead_let_calls_pass() -> None:
    clock = FakeClock()
    breaker, slots = CircuitBreaker("engine", clock=clock), Bulkhead(1, clock=clock)
    breaker.isolate()
    call, other = breaker(lambda: "up"), slots(lambda: "up")
    with slots, disabled():
        assert call() == other() == Policy("p", breaker, slots).call(lambda: "up") == "up"
    with pytest.raises(CircuitOpen):
        call()
    with slots, pytest.raises(BulkheadFull):
        other()


@pytest.mark.parametrize("awaited", [False, True])
def test_bare_decorators_that_were_there_before_pass_too(run, awaited: bool) -> None:
    script = Script(Down(), "up")

    def stack(function):
        return circuit_breaker(1)(exponential_backoff_retry(5, 60.0)(api_timeout(1.0)(function)))

    plain, coroutine = stack(script.__call__), stack(script.call)
    alone = exponential_backoff_retry(5, 60.0)(script.__call__)

    async def main() -> None:
        with disabled():
            with pytest.raises(Down):
                await coroutine()
            assert await coroutine() == "up"

    if awaited:
        run(main)
    else:
        with disabled():
            with pytest.raises(Down):
                plain()
            assert plain() == alone() == "up"
    assert script.calls == (2 if awaited else 3)


def test_wrappers_pass(run) -> None:
    async def main() -> None:
        hedged, answered = Script("first"), Fallback(lambda error: "answer")
        with disabled():
            with pytest.raises(Down):
                await answered(Script(Down()).call)()
            with pytest.raises(Down):
                answered(Script(Down()).__call__)()

            async def slow() -> object:
                await anyio.sleep(5)
                return await hedged.call()

            assert await Hedge(1.0)(slow)() == "first"
        assert hedged.calls == 1
        assert await answered(Script(Down()).call)() == "answer"

    run(main)


def test_blocks_pass(run) -> None:
    async def main() -> None:
        breaker, slots = CircuitBreaker("engine", failure_threshold=1), Bulkhead(1)
        policy, attempts = Policy("engine", slots, breaker, Timeout(1.0)), 0
        breaker.isolate()

        async def fail_in_attempts() -> None:
            nonlocal attempts
            async for attempt in Retry(3, 60.0, budget=RetryBudget()):
                with attempt:
                    attempts += 1
                    raise Down

        with disabled():
            async with policy, policy, slots, slots, breaker:
                await anyio.sleep(5)
            with policy, slots, slots, breaker, deadline(1.0):
                assert remaining() == math.inf
                await anyio.sleep(5)
            with pytest.raises(Down):
                await fail_in_attempts()
        assert (attempts, slots.snapshot().running, slots.snapshot().admitted) == (1, 0, 0)

    run(main)


def test_a_block_that_began_before_it_ends_as_it_began() -> None:
    slots = Bulkhead(1)
    with contextlib.ExitStack() as stack:
        stack.enter_context(slots)
        stack.enter_context(disabled())
        stack.enter_context(slots)
        assert slots.snapshot().running == 1
    assert slots.snapshot().running == 0


def test_generators_and_contexts_pass(run) -> None:
    async def main() -> None:
        policy = Policy("engine", CircuitBreaker("engine", failure_threshold=1), Timeout(1.0))

        @policy
        async def items():
            await anyio.sleep(5)
            yield remaining()
            raise Down

        @policy
        def plain_items():
            yield remaining()

        @policy
        @contextlib.asynccontextmanager
        async def connect():
            await anyio.sleep(5)
            yield remaining()

        @policy
        @contextlib.contextmanager
        def plain_connect():
            yield remaining()

        with disabled():
            stream = items()
            assert await anext(stream) == math.inf
            with pytest.raises(Down):
                await anext(stream)
            assert list(plain_items()) == [math.inf]
            async with connect() as left:
                assert left == math.inf
            with plain_connect() as left:
                assert left == math.inf
        assert policy.part(CircuitBreaker).snapshot().calls == 0

    run(main)


def test_it_holds_in_threads_and_tasks_that_run_already_and_until_the_last_block_ends(run) -> None:
    breaker = CircuitBreaker("engine")
    breaker.isolate()
    call, go, results = breaker(lambda: "up"), threading.Event(), list[str]()

    def work() -> None:
        go.wait()
        results.append(call())

    async def main() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        begin = anyio.Event()

        async def task() -> None:
            await begin.wait()
            results.append(call())

        async with anyio.create_task_group() as group:
            group.start_soon(task)
            with disabled():
                with disabled():
                    pass
                begin.set()
                await anyio.sleep(1)
                go.set()
                thread.join()
        with pytest.raises(CircuitOpen):
            call()

    run(main)
    assert results == ["up", "up"]


def test_an_exception_ends_it() -> None:
    with pytest.raises(Down), disabled():
        raise Down
    breaker = CircuitBreaker("engine")
    breaker.isolate()
    with pytest.raises(CircuitOpen):
        breaker(lambda: None)()


def test_a_cancelled_call_that_passes_is_cancelled_as_any_other(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine")
        with disabled(), anyio.move_on_after(1) as scope:
            await breaker(anyio.sleep)(100)
        assert scope.cancelled_caught
        assert breaker.snapshot().calls == 0

    run(main)
