"""Calls that an open circuit rejects without a look at its state: the same as those that it looks at."""

import pickle

import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker
from cqox.resilience.pipeline.events import CallRejected, capture_events
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Run


def opened(clock: FakeClock) -> CircuitBreaker:
    breaker = CircuitBreaker("engine", 1, 60.0, clock=clock.now)
    with pytest.raises(ConnectionError), breaker:
        raise ConnectionError
    return breaker


def test_every_refusal_is_counted_and_says_the_time_that_is_left(run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        breaker = opened(clock)

        @breaker
        async def call() -> str:
            return "up"

        @breaker
        def call_plain() -> str:
            return "up"

        seen: list[CircuitOpen] = []
        for seconds in (60.0, 50.0, 40.0):
            for _ in range(2):
                with pytest.raises(CircuitOpen) as refused:
                    await call()
                assert refused.value.retry_after == pytest.approx(seconds)
                with pytest.raises(CircuitOpen) as refused_plain:
                    call_plain()
                assert str(refused_plain.value) == f"Circuit breaker OPEN for engine (next probe in {seconds:.1f} s)"
                seen += [refused.value, refused_plain.value]
            clock.advance(10.0)
        assert len({id(error) for error in seen}) == len(seen)
        assert all((error.policy, error.args) == ("engine", ("engine",)) for error in seen)
        assert breaker.snapshot().rejected == len(seen)
        clock.advance(30.0)
        assert await call() == "up"
        assert breaker.snapshot().rejected == len(seen)
        assert breaker.snapshot().calls == len(seen) + 2

    run(main)


def test_a_refusal_is_what_the_constructor_would_make() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    refusals: list[CircuitOpen] = []
    for _ in range(2):
        with pytest.raises(CircuitOpen) as refused:
            breaker(print)()
        refusals.append(refused.value)
    for refusal in refusals:
        made = CircuitOpen("engine", retry_after=60.0)
        assert (vars(refusal), refusal.args, str(refusal)) == (vars(made), made.args, str(made))
        restored = pickle.loads(pickle.dumps(refusal))
        assert (type(restored), vars(restored)) == (CircuitOpen, vars(made))


def test_a_refusal_has_no_context_and_an_event_where_somebody_listens(run: Run) -> None:
    async def main() -> None:
        breaker = opened(FakeClock())

        @breaker
        async def call() -> None:
            raise AssertionError

        for _ in range(3):
            try:
                raise ValueError
            except ValueError:
                with pytest.raises(CircuitOpen) as refused:
                    await call()
                assert refused.value.__context__ is None
        with capture_events(CallRejected) as events, pytest.raises(CircuitOpen):
            await call()
        assert [event.name for event in events] == ["engine"]
        assert breaker.snapshot().rejected == 4

    run(main)


@pytest.mark.parametrize("how", ["reset", "disable", "observe_only"])
def test_an_operator_ends_the_refusals_at_once(how: str, run: Run) -> None:
    async def main() -> None:
        breaker = opened(FakeClock())

        @breaker
        async def call() -> str:
            return "up"

        for _ in range(2):
            with pytest.raises(CircuitOpen):
                await call()
        getattr(breaker, how)()
        assert await call() == "up"

    run(main)


def test_a_changed_recovery_timeout_holds_for_the_next_call(run: Run) -> None:
    async def main() -> None:
        clock = FakeClock()
        breaker = opened(clock)

        @breaker
        async def call() -> str:
            return "up"

        for seconds in (60.0, 30.0):
            breaker.reconfigure(recovery_timeout=seconds)
            for _ in range(2):
                with pytest.raises(CircuitOpen) as refused:
                    await call()
                assert refused.value.retry_after == pytest.approx(seconds)
        clock.advance(30.0)
        assert await call() == "up"

    run(main)
