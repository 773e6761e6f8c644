"""The rate limit: its rate, the order of turns, and cancellation."""

import math
import threading

import anyio
import pytest

from cqox.errors import DeadlineExceeded, RateLimited
from cqox.resilience.deadlines.deadline import deadline
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.resilience.testing import FakeClock
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run


def calls_let_in(limit: RateLimit) -> int:
    count = 0
    try:
        while True:
            with limit:
                count += 1
    except RateLimited:
        return count


def test_it_starts_with_a_full_burst_and_then_keeps_to_its_rate() -> None:
    clock = FakeClock()
    limit = RateLimit(10, 2.0, clock=clock)
    assert calls_let_in(limit) == 10
    clock.advance(0.2)
    assert calls_let_in(limit) == 1
    clock.advance(1.0)
    assert calls_let_in(limit) == 5
    clock.advance(1e9)
    assert calls_let_in(limit) == 10


def test_a_burst_of_one_spaces_calls_evenly() -> None:
    clock = FakeClock()
    limit = RateLimit(10, burst=1, clock=clock)
    let_in = 0
    for _ in range(100):
        let_in += calls_let_in(limit)
        clock.advance(0.05)
    assert let_in == 50


def test_a_refusal_says_exactly_when_to_come_back() -> None:
    clock = FakeClock()
    limit = RateLimit(4, burst=1, name="mail", clock=clock)
    with limit:
        pass
    with pytest.raises(RateLimited, match="RateLimited for mail") as caught, limit:
        pytest.fail("let in")
    assert caught.value.retry_after == pytest.approx(0.25)
    clock.advance(caught.value.retry_after)
    with limit:
        pass


def test_calls_wait_their_turn_in_the_order_of_arrival(run: Run) -> None:
    async def main() -> list[tuple[int, float]]:
        limit, served, start = RateLimit(1, 2.0, max_wait=100.0), list[tuple[int, float]](), anyio.current_time()

        async def call(number: int) -> None:
            async with limit:
                served.append((number, anyio.current_time() - start))

        async with open_task_group() as group:
            for number in range(4):
                group.start_soon(call, number)
                await anyio.wait_all_tasks_blocked()
        return served

    served = run(main)
    assert [number for number, _ in served] == [0, 1, 2, 3]
    assert [moment for _, moment in served] == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_who_would_wait_too_long_is_refused_at_once(run: Run) -> None:
    async def main() -> float:
        limit, start = RateLimit(1, 2.0, max_wait=3.0), anyio.current_time()

        async def call() -> None:
            async with limit:
                pass

        async with open_task_group() as group:
            group.start_soon(call)
            group.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RateLimited) as caught:
                await call()
            assert caught.value.retry_after == pytest.approx(4.0)
            assert limit.snapshot().rejected == 1
            return anyio.current_time() - start

    assert run(main) == pytest.approx(0.0)


def test_a_wait_that_would_outlast_the_deadline_is_not_begun(run: Run) -> None:
    async def main() -> float:
        limit, start = RateLimit(1, 10.0, max_wait=math.inf), anyio.current_time()
        async with limit:
            pass
        with deadline(5.0), pytest.raises(RateLimited):
            async with limit:
                pytest.fail("let in")
        return anyio.current_time() - start

    assert run(main) == pytest.approx(0.0)


def test_a_call_cancelled_while_it_waits_gives_its_turn_back(run: Run) -> None:
    async def main() -> float:
        limit, start = RateLimit(1, 10.0, max_wait=math.inf), anyio.current_time()
        async with limit:
            pass
        with anyio.move_on_after(1.0) as scope:
            async with limit:
                pytest.fail("let in")
        assert scope.cancelled_caught
        assert limit.snapshot().abandoned == 1
        async with limit:
            return anyio.current_time() - start

    assert run(main) == pytest.approx(10.0)


def test_cancelled_turns_do_not_coincide_with_those_of_waiting_calls(run: Run) -> None:
    async def main() -> list[float]:
        limit, start, went = RateLimit(1, 1.0, max_wait=math.inf), anyio.current_time(), list[float]()
        scopes: list[anyio.CancelScope] = []

        async def call() -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                async with limit:
                    went.append(round(anyio.current_time() - start, 6))

        async with anyio.create_task_group() as group:
            for _ in range(7):
                group.start_soon(call)
                await anyio.wait_all_tasks_blocked()
            for scope in scopes[1:4]:
                scope.cancel()
            await anyio.wait_all_tasks_blocked()
            for _ in range(4):
                group.start_soon(call)
        return went

    assert run(main) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_a_thread_waits_its_turn_too() -> None:
    clock = FakeClock()
    limit = RateLimit(1, 2.0, max_wait=5.0, clock=clock)
    for _ in range(3):
        with limit:
            pass
    assert clock.sleeps == [2.0, 2.0]


def test_a_thread_interrupted_while_it_waits_gives_its_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    limit = RateLimit(1, 2.0, max_wait=5.0, clock=clock)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with limit:
        pass
    monkeypatch.setattr(clock, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt), limit:
        pytest.fail("let in")
    snapshot = limit.snapshot()
    assert (snapshot.available, snapshot.admitted, snapshot.abandoned) == (0.0, 1, 1)


def test_sync_code_on_a_loop_is_refused_and_never_blocks_it(run: Run) -> None:
    async def main() -> None:
        limit = RateLimit(1, 10.0, max_wait=math.inf)
        with limit:
            pass
        with pytest.raises(RateLimited), limit:
            pytest.fail("let in")

    run(main)


def test_time_that_was_up_before_is_said_as_such(run: Run) -> None:
    async def main() -> None:
        limit = RateLimit(1)
        with pytest.raises(DeadlineExceeded), deadline(0.0):
            async with limit:
                pytest.fail("let in")
        assert limit.snapshot().admitted == 0

    run(main)


def test_threads_together_get_no_more_than_the_rate() -> None:
    limit, counts = RateLimit(500, 1.0, clock=FakeClock()), list[int]()

    def work() -> None:
        counts.append(calls_let_in(limit))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 500


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calls": 0}, "calls must be an integer of at least 1, not 0"),
        ({"calls": 1, "seconds": 0.0}, "seconds must be a number of seconds above 0"),
        ({"calls": 1, "seconds": math.nan}, "seconds must be a number of seconds above 0"),
        ({"calls": 10**400}, "calls must be a finite number"),
        ({"calls": 1, "burst": 10**400}, "burst must be a finite number"),
        ({"calls": 1, "burst": 0}, "burst must be an integer of at least 1, not 0"),
        ({"calls": 1, "max_wait": -1.0}, "max_wait must be a number of seconds at least 0"),
    ],
)
def test_nonsense_settings_are_refused_with_value_and_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RateLimit(**settings)  # type: ignore[arg-type]


def test_another_rate_holds_from_now_on_and_nothing_is_given_away() -> None:
    clock = FakeClock()
    limit = RateLimit(10, clock=clock)
    calls_let_in(limit)
    limit.reconfigure(calls=100, seconds=1.0, burst=50)
    assert calls_let_in(limit) == 0
    clock.advance(0.1)
    assert calls_let_in(limit) == 10
    clock.advance(100.0)
    assert calls_let_in(limit) == 50
    with pytest.raises(ValueError, match="calls and seconds must be given together, not 5 and None"):
        limit.reconfigure(calls=5)
