"""Attempt timeouts: errors, cancellation, and when no scope is opened."""

import math
import time

import anyio
import anyio.lowlevel
import pytest
import trio

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import (
    Policy,
    Retry,
    Timeout,
    api_timeout,
    computation_timeout,
    database_timeout,
    deadline,
    remaining,
)
from cqox.resilience.deadlines import timeout as timeout_module
from cqox.resilience.testing import FakeClock, capture_events
from tests.resilience.conftest import Down


def test_an_attempt_that_hangs_ends_at_its_limit(run) -> None:
    async def main() -> None:
        start = anyio.current_time()
        with pytest.raises(AttemptTimeout, match=r"timed out after 2 s in api_timeout") as caught:
            await api_timeout(2.0)(anyio.sleep_forever)()
        assert anyio.current_time() - start == pytest.approx(2.0)
        assert caught.value.seconds == 2.0

    run(main)


def test_the_callees_own_timeout_error_goes_through_as_it_is(run) -> None:
    async def main() -> None:
        own = TimeoutError("the socket's")

        @api_timeout(2.0)
        async def call(seconds: float) -> None:
            await anyio.sleep(seconds)
            raise own

        with pytest.raises(TimeoutError) as caught:
            await call(0)
        assert caught.value is own

    run(main)


def test_what_the_callee_raises_while_it_is_ended_wins(run) -> None:
    async def main() -> None:
        @api_timeout(2.0)
        async def call() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise Down("while cleaning up")

        with pytest.raises(Down, match="while cleaning up"):
            await call()

    run(main)


def test_a_cancellation_from_outside_stays_a_cancellation(run) -> None:
    async def main() -> None:
        for seconds in (1.0, 2.0):  # before the limit, and in the same moment
            with anyio.move_on_after(seconds) as scope:
                await api_timeout(2.0)(anyio.sleep_forever)()
            assert scope.cancelled_caught

    run(main)


def test_a_result_that_is_there_beats_a_late_cancellation(run) -> None:
    async def main() -> None:
        @api_timeout(2.0)
        async def call() -> str:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            return "there"

        assert await call() == "there"
        with anyio.CancelScope() as scope:

            @api_timeout(20.0)
            async def cancel_and_return() -> str:
                scope.cancel()
                return "there"

            result = await cancel_and_return()
        assert result == "there"

    run(main)


def test_the_effective_limit_is_the_smaller_of_attempt_and_remaining(run) -> None:
    async def main() -> None:
        async def left() -> float:
            return remaining()

        with deadline(5.0):
            assert await api_timeout(2.0)(left)() == pytest.approx(2.0)
            assert await api_timeout(20.0)(left)() == pytest.approx(5.0)
            await anyio.sleep(4.0)
            assert await api_timeout(2.0)(left)() == pytest.approx(1.0)
        assert await api_timeout(2.0)(left)() == pytest.approx(2.0)
        assert remaining() == math.inf

    run(main)


def test_no_scope_is_opened_where_an_enclosing_deadline_fires_no_later(run, monkeypatch) -> None:
    opened: list[float] = []
    real = timeout_module._Bound.__enter__

    def enter(self) -> None:
        opened.append(self.seconds)
        real(self)

    monkeypatch.setattr(timeout_module._Bound, "__enter__", enter)

    async def main() -> None:
        opened.clear()
        call = api_timeout(5.0)(anyio.sleep)
        with deadline(3.0):
            await call(0)
            assert opened == []
            with pytest.raises(DeadlineExceeded), deadline(2.0):
                await call(10)
            assert opened == []
        await call(0)
        with deadline(30.0):
            await call(0)
        with deadline(3.0), anyio.CancelScope(shield=True):
            await call(0)
        assert opened == [5.0, 5.0, 5.0]

    run(main)


def test_no_call_is_made_once_nothing_remains(run) -> None:
    async def main() -> None:
        calls = 0

        async def call() -> None:
            nonlocal calls
            calls += 1

        for guard in (api_timeout(2.0), Policy("p", Retry(idempotent=True))):
            with deadline(0), pytest.raises(DeadlineExceeded) as caught:
                await guard(call)()
            assert caught.value.before_call
        assert calls == 0

    run(main)


def test_plain_code_sees_its_time_limit_and_is_never_interrupted() -> None:
    clock = FakeClock()
    seen = []

    @database_timeout(3.0, clock=clock)
    def query(seconds: float) -> str:
        seen.append(remaining())
        clock.advance(seconds)
        seen.append(remaining())
        return "rows"

    assert query(10.0) == "rows"
    assert seen == [3.0, 0.0]
    with deadline(2.0, clock=clock):
        assert query(0.5) == "rows"
        assert seen[2:] == [2.0, 1.5]
        clock.advance(2.0)
        with pytest.raises(DeadlineExceeded):
            query(0.0)
    assert len(seen) == 4


def test_plain_code_called_from_a_task_is_not_interrupted_either(run) -> None:
    async def main() -> None:
        @computation_timeout(0.01)
        def compute() -> float:
            start = time.perf_counter()
            while time.perf_counter() - start < 0.02:
                pass
            return remaining()

        assert compute() >= 0.0
        await anyio.lowlevel.checkpoint()
        assert remaining() == math.inf

    run(main)


def test_a_number_that_no_scope_enforces_is_enforced_by_the_first_scope_that_can_be_had() -> None:
    outcome: list[object] = []

    async def main() -> None:
        try:
            await api_timeout(50.0)(anyio.sleep_forever)()
        except TimeoutError as error:
            outcome.append(type(error))

    with deadline(0.05):
        trio.run(main)
        assert outcome == [DeadlineExceeded]


def test_a_timeout_around_retries_bounds_them_all(run) -> None:
    async def main() -> None:
        attempts = 0

        @Policy("all", Timeout(5.0), Retry(10, 2.0, jitter=False, idempotent=True))
        async def call() -> None:
            nonlocal attempts
            attempts += 1
            raise Down

        start = anyio.current_time()
        with pytest.raises(Down) as caught:
            await call()
        assert "would outlast the deadline" in caught.value.__notes__[0]
        assert (attempts, anyio.current_time() - start) == (2, pytest.approx(2.0))

    run(main)


def test_listeners_hear_of_an_attempt_that_was_cut(run) -> None:
    async def main() -> None:
        with capture_events() as seen, pytest.raises(AttemptTimeout):
            await api_timeout(2.0)(anyio.sleep_forever)()
        assert [(type(event).__name__, event.name, event.seconds) for event in seen] == [
            ("TimedOut", "api_timeout", 2.0)
        ]

    run(main)


def test_the_limit_changes_at_run_time(run) -> None:
    async def main() -> None:
        limit = Timeout(100.0)
        call = limit(anyio.sleep_forever)
        limit.reconfigure(seconds=1.0)
        with pytest.raises(AttemptTimeout) as caught:
            await call()
        assert caught.value.seconds == 1.0

    run(main)


def test_an_infinite_timeout_is_none(run) -> None:
    async def main() -> None:
        await Timeout(math.inf)(anyio.sleep)(1000)

    run(main)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "5", None, True])
def test_nonsense_is_refused(seconds: object) -> None:
    with pytest.raises(ValueError, match=r"seconds must be a number of seconds above 0, not"):
        Timeout(seconds)


def test_an_attempt_timeout_names_its_limit(run) -> None:
    async def main() -> None:
        with pytest.raises(AttemptTimeout) as caught:
            await Timeout(2.5)(anyio.sleep_forever)()
        assert caught.value.seconds == 2.5
        assert isinstance(caught.value, TimeoutError)
        assert not isinstance(caught.value, DeadlineExceeded)

    run(main)
