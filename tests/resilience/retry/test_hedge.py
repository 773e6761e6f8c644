"""The hedge: the first result wins, no task is left running, and the extra load is bounded."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience.circuit import CircuitBreaker, CircuitState
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.deadline import deadline, remaining
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.pipeline.part import Part
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.fallback import Fallback
from cqox.resilience.retry.hedge import Hedge
from cqox.resilience.retry.retry import Retry
from cqox.resilience.runtime.call_context import attempt_made, attempt_served
from tests.resilience.conftest import Down, Run, run_async


class Callee:
    """A callee with a scripted duration per attempt, which records the outcomes."""

    def __init__(self, *plan: float | tuple[float, Exception]) -> None:
        self.plan = plan
        self.started: list[float] = []
        self.numbers: list[int] = []
        self.cancelled = 0
        self.running = 0

    async def __call__(self) -> str:
        attempt = len(self.started)
        self.started.append(round(anyio.current_time(), 6))
        self.numbers.append(attempt_made.get())
        step = self.plan[min(attempt, len(self.plan) - 1)]
        seconds, error = step if isinstance(step, tuple) else (step, None)
        self.running += 1
        try:
            await anyio.sleep(seconds)
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if error is not None:
            raise error
        return f"answer {attempt + 1}"

    def starts(self) -> list[float]:
        return [round(moment - self.started[0], 6) for moment in self.started]


def test_a_quick_answer_makes_one_call(run: Run) -> None:
    callee = Callee(0.5)
    assert run(Hedge(1.0)(callee.__call__)) == "answer 1"
    assert callee.starts() == [0.0]


def test_a_slow_answer_is_overtaken_and_the_slow_attempt_is_cancelled_and_awaited(run: Run) -> None:
    callee = Callee(60.0, 0.5)
    assert run(Hedge(1.0)(callee.__call__)) == "answer 2"
    assert callee.starts() == [0.0, 1.0]
    assert (callee.cancelled, callee.running) == (1, 0)


def test_the_first_attempt_may_still_win(run: Run) -> None:
    callee = Callee(1.2, 60.0)
    assert run(Hedge(1.0)(callee.__call__)) == "answer 1"
    assert (callee.cancelled, callee.running) == (1, 0)


def test_no_more_attempts_are_made_than_allowed(run: Run) -> None:
    callee = Callee(10.0)
    assert run(Hedge(1.0, 3)(callee.__call__)) == "answer 1"
    assert callee.starts() == [0.0, 1.0, 2.0]


def test_a_failure_waits_for_the_attempt_that_is_still_under_way(run: Run) -> None:
    callee = Callee((2.0, ValueError("slow and wrong")), 3.0)
    assert run(Hedge(1.0)(callee.__call__)) == "answer 2"


def test_where_all_fail_the_first_exception_reaches_the_caller_unchanged(run: Run) -> None:
    first, second = ValueError("first"), KeyError("second")
    callee = Callee((5.0, second), (2.0, first))
    with pytest.raises(ValueError, match="first") as caught:
        run(Hedge(1.0)(callee.__call__))
    assert caught.value is first
    assert caught.value.__context__ is None


def test_a_quick_failure_is_not_retried(run: Run) -> None:
    callee = Callee((0.1, ValueError("at once")))
    with pytest.raises(ValueError, match="at once"):
        run(Hedge(1.0)(callee.__call__))
    assert callee.starts() == [0.0]


def test_the_cancellation_of_what_an_attempt_waits_for_reaches_the_caller_and_is_no_answer() -> None:
    async def main() -> None:
        other = asyncio.get_running_loop().create_future()
        other.cancel()

        @Hedge(1.0)
        async def fetch() -> None:
            await other

        with pytest.raises(asyncio.CancelledError):
            await fetch()

    run_async("asyncio", main)


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_what_is_no_exception_reaches_the_caller_at_once_and_as_it_is(run: Run, seconds: float) -> None:
    class Interrupt(BaseException):
        pass

    interrupt, attempts = Interrupt(), 0

    @Hedge(1.0)
    async def fetch() -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            await anyio.sleep_forever()
        await anyio.sleep(seconds)
        raise interrupt

    async def main() -> float:
        start = anyio.current_time()
        with pytest.raises(Interrupt) as raised:
            await fetch()
        assert raised.value is interrupt
        return anyio.current_time() - start

    assert run(main) == pytest.approx(seconds)


def beaten(clean_up: Callable[[BaseException], Awaitable[None]]) -> Callable[[], Coroutine[Any, Any, str]]:
    """A hedged call whose first attempt never answers and ends with `clean_up`; its second answers at once."""
    attempts = 0

    @Hedge(0.2)
    async def fetch() -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            try:
                await anyio.sleep_forever()
            except BaseException as cancelled:
                await clean_up(cancelled)
                raise
        return "answer"

    return fetch


def test_an_answer_is_kept_also_where_time_runs_out_while_the_beaten_attempt_cleans_up(run: Run) -> None:
    async def take_long(cancelled: BaseException) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2.0)

    async def main() -> float:
        start = anyio.current_time()
        with deadline(1.0):
            assert await beaten(take_long)() == "answer"
        return anyio.current_time() - start

    assert run(main) == pytest.approx(2.2)


@pytest.mark.parametrize("grouped", [False, True])
def test_what_a_beaten_attempt_raises_while_it_is_ended_costs_no_answer(run: Run, grouped: bool) -> None:
    async def break_down(cancelled: BaseException) -> None:
        broken = ValueError("of the clean-up")
        raise (BaseExceptionGroup("both", [cancelled, broken]) if grouped else broken) from None

    assert run(beaten(break_down)) == "answer"


def test_a_cancelled_call_leaves_no_attempt_behind(run: Run) -> None:
    callee = Callee(60.0)

    async def main() -> bool:
        with anyio.move_on_after(2.5) as scope:
            await Hedge(1.0, 5)(callee.__call__)()
        return scope.cancelled_caught

    assert run(main)
    assert callee.starts() == [0.0, 1.0, 2.0]
    assert (callee.cancelled, callee.running) == (3, 0)


def test_the_deadline_of_the_caller_is_in_force_in_every_attempt(run: Run) -> None:
    seen: list[float] = []

    async def callee() -> None:
        seen.append(round(remaining(), 6))
        await anyio.sleep_forever()

    async def main() -> None:
        with deadline(2.5):
            await Hedge(1.0, 5)(callee)()

    with pytest.raises(DeadlineExceeded):
        run(main)
    assert seen[0] == 2.5
    assert len(seen) == 3


def test_further_attempts_are_paid_from_the_budget_and_the_first_never_is(run: Run) -> None:
    budget = RetryBudget(ratio=0.0, floor_per_second=0.0)
    callees = [Callee(10.0), Callee(10.0)]

    async def main() -> None:
        for callee in callees:
            await Hedge(1.0, 4, budget=budget)(callee.__call__)()

    run(main)
    assert [len(callee.started) for callee in callees] == [2, 1]
    assert budget.snapshot().first_attempts == 2


def test_a_request_that_is_itself_a_retry_is_not_hedged(run: Run) -> None:
    callee = Callee(10.0)

    async def main() -> str:
        attempt_served.set(1)
        return await Hedge(1.0)(callee.__call__)()

    assert run(main) == "answer 1"
    assert callee.starts() == [0.0]


def test_a_further_attempt_says_that_it_is_one(run: Run) -> None:
    callee = Callee(10.0)
    run(Hedge(1.0, 3)(callee.__call__))
    assert callee.numbers == [0, 1, 2]


def test_in_a_policy_each_attempt_has_the_parts_inside_of_the_hedge(run: Run) -> None:
    callee = Callee(60.0, 0.5)
    assert run(Policy("hedge test", Hedge(1.0), Timeout(5.0))(callee.__call__)) == "answer 2"


def test_a_plain_function_cannot_be_hedged_and_that_is_said_at_decoration() -> None:
    with pytest.raises(TypeError, match="awaited calls only"):
        Hedge(1.0)(lambda: None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delay": 0.0}, "delay must be a number of seconds above 0, and finite, not 0.0"),
        ({"delay": float("nan")}, "delay must be a number of seconds above 0, and finite, not nan"),
        ({"delay": 1.0, "max_attempts": 1}, "max_attempts must be an integer of at least 2, not 1"),
        ({"delay": 1.0, "budget": 0.2}, "budget must be a RetryBudget or None, not 0.2"),
    ],
)
def test_nonsense_settings_are_refused_with_value_and_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hedge(**settings)  # type: ignore[arg-type]


def opened(*parts: Part) -> tuple[CircuitBreaker, Callee, Callable[[], Awaitable[object]]]:
    """A circuit that the next call finds half-open, around `parts`, around a callee that takes ten seconds."""
    breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=0.0, probe_timeout=90.0)
    callee = Callee(10.0)
    return breaker, callee, Policy("engine", breaker, *parts)(callee.__call__)


@pytest.mark.parametrize(
    "parts",
    [
        (Hedge(1.0, 4),),
        (Retry(3, 0.0, idempotent=True), Hedge(1.0, 4)),
        (Timeout(60.0), Hedge(1.0, 4)),
        (Fallback(lambda error: None, (KeyError,)), Hedge(1.0, 4)),
        (Hedge(1.0, 2), Hedge(1.0, 2)),
        (Timeout(60.0), Retry(3, 0.0, idempotent=True), Hedge(1.0, 4)),
    ],
)
def test_one_permit_of_a_half_open_circuit_is_one_call_under_a_hedge(run: Run, parts: tuple[Part, ...]) -> None:
    async def main() -> None:
        breaker, callee, call = opened(*parts)
        with contextlib.suppress(Down), breaker:
            raise Down
        assert breaker.state is CircuitState.OPEN
        assert await call() == "answer 1"
        assert len(callee.started) == 1
        assert breaker.state is CircuitState.CLOSED
        await call()
        assert len(callee.started) > 2, "a closed circuit lets the hedge do its work"

    run(main)


def test_a_hedge_sees_the_circuit_around_each_attempt_of_a_retry(run: Run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=0.0, probe_timeout=90.0)
        callee = Callee((0.0, Down()), 10.0)
        retry = Retry(2, 0.0, idempotent=True)
        assert await Policy("engine", retry, breaker, Hedge(1.0, 4))(callee.__call__)() == "answer 2"
        assert len(callee.started) == 2

    run(main)


def test_a_hedge_around_a_circuit_makes_as_many_probes_as_there_are_permits(run: Run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1, recovery_timeout=0.0, probe_timeout=90.0)
        callee = Callee((0.0, Down()), 10.0)
        call = Policy("engine", Hedge(1.0, 4), breaker)(callee.__call__)
        with pytest.raises(Down):
            await call()
        assert await call() == "answer 2"
        assert len(callee.started) == 2
        assert breaker.snapshot().rejected == 3

    run(main)


def test_no_further_attempt_is_made_once_the_circuit_has_opened(run: Run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        callee = Callee(10.0)
        call = Policy("engine", breaker, Hedge(1.0, 4))(callee.__call__)
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(0.5)
            with pytest.raises(Down), breaker:
                raise Down
        assert len(callee.started) == 1

    run(main)
