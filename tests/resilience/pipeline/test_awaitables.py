"""Plain functions that return awaitables: guarded as coroutine functions are, from the first call on."""

import asyncio
import functools
import gc
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import anyio
import pytest

from cqox.errors import AttemptTimeout, CircuitOpen
from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    CircuitState,
    Fallback,
    Hedge,
    Policy,
    Retry,
    Timeout,
    circuit_breaker,
    exponential_backoff_retry,
)
from cqox.resilience.pipeline.plan import enclosing
from cqox.resilience.retry.unsent import attempt_requests
from tests.resilience.conftest import Down, Run, outcomes, run_async


class Request:
    """An awaitable other than a coroutine that runs when it is awaited, as a request of aiohttp."""

    def __init__(self, seconds: float, error: Exception | None) -> None:
        self.seconds = seconds
        self.error = error

    def __await__(self) -> Generator[object, object, str]:
        return self._work().__await__()

    async def _work(self) -> str:
        await anyio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return "answer"


class Client:
    """Makes such requests."""

    def __init__(self, *errors: Exception | None, seconds: float = 1.0) -> None:
        self.errors = list(errors)
        self.seconds = seconds
        self.calls = 0

    def get(self) -> Awaitable[str]:
        self.calls += 1
        return Request(self.seconds, self.errors.pop(0) if self.errors else None)


type Guard = Callable[[Callable[[], Awaitable[str]], list[object]], Callable[[], Awaitable[str]]]


def decorated(function: Callable[[], Awaitable[str]], parts: list) -> Callable[[], Awaitable[str]]:
    return Policy("engine", *parts)(function)


def called(function: Callable[[], Awaitable[str]], parts: list) -> Callable[[], Awaitable[str]]:
    policy = Policy("engine", *parts)
    return lambda: policy.call(function)


def stacked(function: Callable[[], Awaitable[str]], parts: list) -> Callable[[], Awaitable[str]]:
    for part in reversed(parts):
        function = part(function)
    return function


guards = pytest.mark.parametrize("guard", [decorated, called, stacked])


@guards
@pytest.mark.parametrize("around", [(), (Bulkhead(9),), (Fallback(lambda error: None, (KeyError,)),)])
def test_a_failure_that_is_awaited_trips_the_circuit(run: Run, guard: Guard, around: tuple) -> None:
    async def main() -> None:
        client, breaker = Client(Down(), Down()), CircuitBreaker("engine", failure_threshold=2)
        call = guard(client.get, [*around, breaker])
        for _ in range(2):
            with pytest.raises(Down):
                await call()
        assert breaker.state is CircuitState.OPEN
        with pytest.raises(CircuitOpen):
            await call()
        assert client.calls == 2
        snapshot = breaker.snapshot()
        assert (snapshot.failure, snapshot.rejected, snapshot.calls) == (2, 1, 3)

    run(main)


@guards
def test_it_is_retried_and_bounded(run: Run, guard: Guard) -> None:
    async def main() -> None:
        for _ in range(2):  # the first call, in which it is recognised, and a later one
            client = Client(Down(), Down())
            call = guard(client.get, [Retry(3, 1.0, jitter=False, idempotent=True), Timeout(5.0)])
            began = anyio.current_time()
            assert await call() == "answer"
            assert client.calls == 3
            assert anyio.current_time() - began == pytest.approx(6.0)
            slow = Client(seconds=60.0)
            with pytest.raises(AttemptTimeout):
                await guard(slow.get, [Timeout(5.0)])()
        assert (attempt_requests.get(), enclosing.get()) == (None, ())

    run(main)


def test_a_bare_retry_and_a_breaker_guard_it_in_one_frame(run: Run) -> None:
    async def main() -> None:
        client = Client(Down(), Down(), Down(), Down())
        call = circuit_breaker(failure_threshold=2)(exponential_backoff_retry(2, 0.0)(client.get))
        for _ in range(2):
            with pytest.raises(Down):
                await call()
        assert client.calls == 4
        assert call.breaker.state is CircuitState.OPEN

    run(main)


def test_a_slot_is_held_while_it_is_awaited_and_a_queue_is_waited_in(run: Run) -> None:
    async def main() -> None:
        client, bulkhead = Client(), Bulkhead(1, max_queued=2)
        call = Policy("engine", bulkhead, CircuitBreaker("engine"))(client.get)
        assert await call() == "answer"
        assert await outcomes(call, 4) == ["BulkheadFull", "answer", "answer", "answer"]
        assert bulkhead.snapshot().running == 0

    run(main)


def test_a_cancellation_gives_everything_back(run: Run) -> None:
    async def main() -> None:
        bulkhead, limit, breaker = Bulkhead(1), AdaptiveLimit(5), CircuitBreaker("engine")
        call = Policy("engine", bulkhead, limit, breaker)(Client(seconds=60.0).get)
        for _ in range(3):
            with anyio.move_on_after(1.0):
                await call()
        assert (bulkhead.snapshot().running, limit.snapshot().running, breaker.snapshot().cancelled) == (0, 0, 3)

    run(main)


def test_a_call_that_is_never_awaited_releases_its_permits_and_warns(run: Run) -> None:
    async def main() -> None:
        bulkhead = Bulkhead(1)
        call = Policy("engine", bulkhead, Retry(2), Timeout(9.0))(Client().get)
        for held in (1, 0):  # a later call begins when it is awaited
            pending = call()
            assert bulkhead.snapshot().running == held
            with pytest.warns(RuntimeWarning, match="a guarded call of get was never awaited"):  # noqa: PT031
                del pending
                gc.collect()
            assert bulkhead.snapshot().running == 0
        pending = call()
        assert await pending == "answer"
        with pytest.raises(RuntimeError, match="twice"):
            await pending

    run(main)


def test_it_may_be_awaited_in_another_task_than_it_was_made_in(run: Run) -> None:
    async def main() -> None:
        seen: list[str] = []

        async def wait_for(pending: Awaitable[str]) -> None:
            seen.append(await pending)

        policy = Policy("engine", CircuitBreaker("engine"), Timeout(9.0), Retry(2, 0.0), Timeout(5.0))
        call = policy(Client(Down()).get)
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for, policy(Client().get)())
        with pytest.raises(Down):
            await call()
        assert seen == ["answer"]
        assert (attempt_requests.get(), enclosing.get()) == (None, ())

    run(main)


def test_a_future_is_guarded(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def begin() -> Awaitable[str]:
            future = loop.create_future()
            loop.call_later(1.0, future.set_exception, Down())
            return future

        breaker = CircuitBreaker("engine", failure_threshold=1)
        with pytest.raises(Down):
            await breaker(begin)()
        assert breaker.state is CircuitState.OPEN

    run_async("asyncio", main)


def test_a_function_that_returns_both_values_and_awaitables_is_awaited_once_that_is_known(run: Run) -> None:
    async def main() -> None:
        results: list[object] = ["cached", Request(1.0, None), "cached"]
        breaker = CircuitBreaker("engine")
        call = breaker(lambda: results.pop(0))
        assert call() == "cached"
        assert await call() == "answer"
        assert await call() == "cached"
        assert breaker.snapshot().success == 3

    run(main)


def test_a_generator_is_a_value_and_a_coroutine_that_is_one_is_guarded(run: Run) -> None:
    @types.coroutine
    def old_style() -> Generator[object, object, str]:
        yield from anyio.lowlevel.checkpoint().__await__()
        raise Down

    async def main() -> None:
        results = [(number for number in range(2)), old_style()]
        breaker = CircuitBreaker("engine", failure_threshold=1)
        call = breaker(lambda: results.pop(0))
        assert list(call()) == [0, 1]
        with pytest.raises(Down):
            await call()
        assert breaker.state is CircuitState.OPEN

    run(main)


def test_a_fallback_answers_for_what_is_awaited(run: Run) -> None:
    async def main() -> None:
        call = Policy("engine", Fallback(lambda error: "instead"), Retry(2, 0.0, idempotent=True))(Client(Down()).get)
        assert await call() == "answer"
        assert await Policy("engine", Fallback(lambda error: "instead"))(Client(Down()).get)() == "instead"

    run(main)


def test_what_cannot_be_guarded_is_refused() -> None:
    with pytest.raises(TypeError, match="Request is a class whose objects are awaited"):
        CircuitBreaker("engine")(functools.partial(Request))
    with pytest.raises(TypeError, match="awaited calls only"):
        Hedge(1.0)(Client().get)

    async def stream() -> AsyncGenerator[int]:
        yield 1

    for guard in (CircuitBreaker("engine"), Retry(), Policy("engine", Retry(), Timeout(1.0))):
        with pytest.raises(TypeError, match="returned an async generator: make it an async generator function"):
            guard(lambda: stream())()
