"""Probe callables, which run in place of the waiting call."""

import anyio
import pytest

from cqox.errors import CircuitOpen, DeadlineExceeded
from cqox.resilience import CircuitBreaker, CircuitState, ProbeFailed, deadline
from cqox.resilience.testing import FakeClock, capture_events
from tests.resilience.circuit.callees import opened, succeed
from tests.resilience.conftest import Down, outcome, outcomes


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
        assert await outcomes(call, 5) == ["CircuitOpen"] * 4 + ["up"]
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


def test_a_plain_probe_holds_its_permit_until_the_deadline_and_a_margin() -> None:
    clock, waits = FakeClock(), []

    def probe() -> None:
        with pytest.raises(CircuitOpen) as refused:
            breaker(succeed)()
        waits.append(refused.value.retry_after)

    breaker = opened(clock, probe=probe)
    clock.advance(60)
    with deadline(3.0, clock=clock):
        assert breaker(succeed)() == "up"
    assert 3.0 < waits[0] <= 6.0


def test_a_plain_probe_is_checked_where_a_breaker_gets_it_later() -> None:
    async def probe() -> None: ...

    breaker = CircuitBreaker("engine")
    breaker(succeed)
    with pytest.raises(TypeError, match="coroutine function"):
        breaker.reconfigure(probe=probe)
    assert breaker(succeed)() == "up"
