"""Classification of outcomes: failure, success, or neither."""

import asyncio
import contextlib

import anyio
import pytest

from cqox.errors import BulkheadFull, Rejected
from cqox.resilience import CircuitBreaker, CircuitState, FailureRate, Policy, Retry, RetryBudget, Timeout, deadline
from cqox.resilience.testing import FakeClock
from tests.resilience.circuit.callees import fail, succeed
from tests.resilience.conftest import Down, outcome


def test_a_cancellation_is_no_verdict(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        policy = Policy("engine", breaker, Retry(idempotent=True, exceptions=(BaseException,)))
        attempts = 0

        @policy
        async def hang() -> None:
            nonlocal attempts
            attempts += 1
            async with anyio.create_task_group() as group:  # a cancellation leaves this as a group on Trio
                group.start_soon(anyio.sleep_forever)
                await anyio.sleep_forever()

        for _ in range(3):
            with anyio.move_on_after(50) as scope:
                await hang()
            assert scope.cancelled_caught
        assert attempts == 3
        assert breaker.state is CircuitState.CLOSED
        snapshot = breaker.snapshot()
        assert (snapshot.cancelled, snapshot.calls, snapshot.recent_failures) == (3, 3, 0)

    run(main)


class Held:
    """A lock that an interrupt would find held."""

    def acquire(self) -> bool:
        raise AssertionError("taken")

    __enter__ = acquire

    def __exit__(self, *error: object) -> None:
        raise AssertionError("given back")


@pytest.mark.parametrize("rate", [None, FailureRate(), FailureRate(seconds=30.0)])
def test_a_success_takes_no_lock_that_an_interrupt_could_leave_held(rate: FailureRate | None) -> None:
    breaker, budget = CircuitBreaker("engine", failure_rate=rate), RetryBudget()
    call = Policy("engine", breaker, Retry(budget=budget))(succeed)
    call()
    locks = breaker._circuit.lock, budget._lock
    breaker._circuit.lock = budget._lock = Held()  # type: ignore[assignment]
    assert call() == "up"
    breaker._circuit.lock, budget._lock = locks
    assert breaker.snapshot().success == 2
    assert budget.snapshot().first_attempts == 2


def test_a_group_that_holds_only_cancellations_is_no_verdict() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    group = BaseExceptionGroup("cancelled", [asyncio.CancelledError(), asyncio.CancelledError()])

    def end() -> None:
        raise group

    with pytest.raises(BaseExceptionGroup) as caught:
        breaker(end)()
    assert caught.value is group
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().cancelled == 1


def test_an_interrupt_is_no_verdict_and_is_never_retried() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())
    calls = 0

    @Policy("engine", breaker, Retry(exceptions=(BaseException,), idempotent=True, clock=FakeClock()))
    def interrupted() -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert calls == 1
    assert breaker.snapshot().cancelled == 1
    assert breaker.state is CircuitState.CLOSED


@pytest.mark.parametrize(
    ("seconds", "timeout", "verdict"),
    [
        (1.0, None, CircuitState.OPEN),
        (0.9, None, CircuitState.CLOSED),
        (0.9, 1.5, CircuitState.OPEN),  # half of the attempt timeout is a fair share
        (0.7, 1.5, CircuitState.CLOSED),
        (1.0, 100.0, CircuitState.OPEN),  # one second is, at the most
        (0.9, 100.0, CircuitState.CLOSED),
    ],
)
def test_a_deadline_is_a_failure_after_a_fair_share(
    run, seconds: float, timeout: float | None, verdict: CircuitState
) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        parts = () if timeout is None else (Timeout(timeout),)
        for hang in (Policy("engine", breaker, *parts)(anyio.sleep_forever),):
            with anyio.CancelScope(), pytest.raises(TimeoutError), deadline(seconds):
                await hang()
        assert breaker.state is verdict

    run(main)


def test_a_cancellation_before_the_deadline_is_no_verdict_however_long_it_took(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        with deadline(100):
            with anyio.move_on_after(99):
                await breaker(anyio.sleep_forever)()
        assert breaker.state is CircuitState.CLOSED
        assert breaker.snapshot().cancelled == 1

    run(main)


def test_an_attempt_that_timed_out_is_a_failure_however_short_it_was(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        call = Policy("engine", breaker, Timeout(0.01))(anyio.sleep_forever)
        assert await outcome(call) == "AttemptTimeout"
        assert breaker.state is CircuitState.OPEN

    run(main)


def test_a_breaker_inside_of_the_timeout_sees_its_end_as_a_failure(run) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("engine", failure_threshold=1)
        call = Policy("engine", Timeout(0.4), breaker)(anyio.sleep_forever)
        assert await outcome(call) == "AttemptTimeout"
        assert breaker.state is CircuitState.OPEN

    run(main)


def test_rejections_by_other_parts_never_count() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=1, clock=FakeClock())

    def full() -> None:
        raise BulkheadFull("slots")

    for _ in range(5):
        with pytest.raises(Rejected):
            breaker(full)()
    assert breaker.state is CircuitState.CLOSED
    assert breaker.snapshot().ignored == 5


def test_exceptions_that_are_not_listed_are_ignored_and_leave_the_count_alone() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=2, failures=(Down,), clock=FakeClock())

    def other() -> None:
        raise ValueError

    for call in (fail, other, fail):
        with pytest.raises((Down, ValueError)):
            breaker(call)()
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().ignored == 1


def test_a_predicate_may_say_which_exceptions_are_failures() -> None:
    breaker = CircuitBreaker("engine", 1, failures=lambda error: "down" in str(error), clock=FakeClock())

    def other() -> None:
        raise Down("something else")

    with pytest.raises(Down):
        breaker(other)()
    assert breaker.state is CircuitState.CLOSED
    with pytest.raises(Down):
        breaker(fail)()
    assert breaker.state is CircuitState.OPEN


@pytest.mark.parametrize("rate", [None, FailureRate(slow_call_seconds=5.0)])
@pytest.mark.parametrize("within", [contextlib.nullcontext, lambda: deadline(5.0)])
def test_a_call_that_a_predicate_cannot_judge_is_counted_all_the_same(rate: FailureRate | None, within) -> None:
    def broken(outcome: object) -> bool:
        raise ZeroDivisionError

    breaker = CircuitBreaker("engine", failures=broken, failure_if=broken, failure_rate=rate, clock=FakeClock())
    for call in (fail, succeed):
        with pytest.raises(ZeroDivisionError), within():
            breaker(call)()
    assert (breaker.snapshot().ignored, breaker.snapshot().calls) == (2, 2)


def test_a_returned_value_may_be_a_failure_and_is_returned_all_the_same() -> None:
    breaker = CircuitBreaker("engine", failure_threshold=2, failure_if=lambda status: status >= 500, clock=FakeClock())
    status = breaker(lambda value: value)
    assert [status(200), status(503), status(500)] == [200, 503, 500]
    assert breaker.state is CircuitState.OPEN
    assert breaker.snapshot().failure == 2


def test_a_quick_call_reads_the_clock_twice_where_slow_calls_count_and_a_slow_one_is_still_slow() -> None:
    read: list[float] = []
    clock = FakeClock()

    def now() -> float:
        read.append(clock.now())
        return read[-1]

    rate = FailureRate(window=10, minimum_calls=2, slow_call_seconds=2.0, slow_call_rate=0.5)
    breaker = CircuitBreaker("slow", failure_rate=rate, clock=now)

    @breaker
    def call(seconds: float) -> None:
        clock.advance(seconds)

    call(0.0)
    read.clear()
    call(1.9)
    assert len(read) == 2
    call(2.0)
    assert breaker.snapshot().recent_slow == 1
    call(2.0)
    assert breaker.state is CircuitState.OPEN


def test_a_class_that_has_failed_before_is_judged_by_the_settings_in_force() -> None:
    breaker = CircuitBreaker("engine", 100, failures=(OSError,), clock=FakeClock())

    @breaker
    def call(error: Exception, *, change: bool = False) -> None:
        if change:
            breaker.reconfigure(failures=(ValueError,))
        raise error

    def outcomes(*errors: Exception, change: bool = False) -> tuple[int, int]:
        for error in errors:
            with pytest.raises(type(error)):
                call(error, change=change)
        return breaker.snapshot().failure, breaker.snapshot().ignored

    group = ExceptionGroup("both", [Rejected("inner")])
    assert outcomes(OSError(), OSError(), ConnectionError(), OSError()) == (4, 0)
    assert outcomes(ValueError(), Rejected("inner"), group) == (4, 3)
    assert outcomes(OSError(), change=True) == (4, 4)
    assert outcomes(OSError(), ValueError(), ValueError()) == (6, 5)


def test_a_class_that_looks_at_its_exceptions_is_asked_about_each() -> None:
    class ByCode(type):
        def __instancecheck__(cls, error: object) -> bool:
            return getattr(error, "errno", None) == 5

    class Fatal(OSError, metaclass=ByCode):
        pass

    breaker = CircuitBreaker("engine", failures=(Fatal,), clock=FakeClock())
    call = breaker(lambda code: (_ for _ in ()).throw(OSError(code, "")).__next__())
    for code in (5, 4, 5):
        with pytest.raises(OSError):
            call(code)
    assert (breaker.snapshot().failure, breaker.snapshot().ignored) == (2, 1)


def test_a_failure_that_opens_the_circuit_is_announced_once_and_a_later_one_is_stale() -> None:
    breaker, seen = CircuitBreaker("engine", 2, clock=FakeClock()), list[str]()
    breaker.subscribe(lambda event: seen.append(type(event).__name__))

    @breaker
    def call(depth: int) -> None:
        if depth:
            with pytest.raises(Down):
                call(depth - 1)
        raise Down

    with pytest.raises(Down):
        call(2)
    assert seen == ["CircuitOpened"]
    assert (breaker.snapshot().failure, breaker.snapshot().stale) == (2, 1)
