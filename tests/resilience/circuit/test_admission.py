"""Permits of a half-open circuit: their number and their release."""

import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, CircuitState, Policy, Timeout
from cqox.resilience.testing import FakeClock
from tests.resilience.circuit.callees import fail, opened, succeed
from tests.resilience.conftest import Down, outcome, outcomes


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
        most = 0
        assert await outcomes(call, 100) == ["CircuitOpen"] * 98 + ["None"] * 2
        assert most == 2
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


def test_a_late_result_is_stale_even_where_the_permit_is_free() -> None:
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
