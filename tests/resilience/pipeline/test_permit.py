"""Permits: they are settled once each, and a callee is blamed only for its own time."""

import asyncio
import math

import pytest
import trio

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience.pipeline.permit import (
    Permit,
    TimeSpent,
    fail_permits,
    is_timeout_or_cancellation,
    time_spent,
)
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import bind_clock
from cqox.resilience.runtime.queueing import QueueWait, mark_ended_in_queue, waits
from cqox.resilience.testing import FakeClock
from tests.resilience.conftest import Down


class Recorder(Permit):
    """A permit that records how it failed, and may raise then."""

    def __init__(self, name: str, ended: list[object], raises: BaseException | None = None) -> None:
        self.name = name
        self.ended = ended
        self.raises = raises

    def fail(self, error: BaseException) -> None:
        self.ended.append((self.name, error))
        if self.raises is not None:
            raise self.raises


def deadline_of(clock: FakeClock, seconds: float, attempt_seconds: float = math.inf) -> AmbientDeadline:
    return AmbientDeadline(seconds, None, clock.now, attempt_seconds)


def trio_cancellation() -> BaseException:
    caught: list[BaseException] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                caught.append(error)
                raise

    trio.run(main)
    return caught[0]


def test_the_permits_above_the_base_fail_innermost_first() -> None:
    ended: list[object] = []
    held: list[Permit] = [Recorder(name, ended) for name in "abc"]
    error = Down()
    fail_permits(held, 1, error)
    assert ended == [("c", error), ("b", error)]
    assert len(held) == 1
    fail_permits(held, 1, error)
    assert len(ended) == 2


def test_all_permits_fail_even_where_settling_one_raises() -> None:
    ended: list[object] = []
    held: list[Permit] = [Recorder("a", ended), Recorder("b", ended, ZeroDivisionError()), Recorder("c", ended)]
    error = Down()
    spent = TimeSpent(deadline_of(FakeClock(), 1.0), 0.5, math.inf)
    with pytest.raises(ZeroDivisionError):
        fail_permits(held, 0, error, spent)
    assert ended == [("c", error), ("b", error), ("a", error)]
    assert held == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncio.CancelledError(), True),
        (trio_cancellation(), True),
        (DeadlineExceeded(1.0), True),
        (BaseExceptionGroup("", [asyncio.CancelledError(), ExceptionGroup("", [DeadlineExceeded(1.0)])]), True),
        (BaseExceptionGroup("", [asyncio.CancelledError(), Down()]), False),
        (AttemptTimeout(1.0), False),
        (TimeoutError(), False),
        (KeyboardInterrupt(), False),
        (type("Cancelled", (Exception,), {"__module__": "triode"})(), False),
    ],
)
def test_timeouts_and_cancellations_are_recognised_also_in_groups(error: BaseException, expected: bool) -> None:
    assert is_timeout_or_cancellation(error) is expected


@pytest.mark.parametrize(
    ("seconds", "attempt_timeout", "attempt_seconds", "fair"),
    [
        (0.5, 1.0, math.inf, True),
        (0.49, 1.0, math.inf, False),
        (0.5, math.inf, 1.0, True),
        (0.49, math.inf, 1.0, False),
        (1.0, 60.0, math.inf, True),
        (0.99, 60.0, math.inf, False),
        (0.99, math.inf, math.inf, False),
        (0.0, 0.0, math.inf, True),
    ],
)
def test_a_fair_share_is_half_of_the_shorter_attempt_timeout_and_at_most_a_second(
    seconds: float, attempt_timeout: float, attempt_seconds: float, fair: bool
) -> None:
    spent = TimeSpent(deadline_of(FakeClock(), 100.0, attempt_seconds), seconds, attempt_timeout)
    assert spent.was_fair is fair


def test_the_time_is_over_once_the_deadline_has_passed() -> None:
    clock = FakeClock()
    spent = TimeSpent(deadline_of(clock, 2.0), 1.0, math.inf)
    clock.advance(1.9)
    assert not spent.is_over
    clock.advance(0.1)
    assert spent.is_over


def test_no_time_is_spent_without_a_deadline_or_a_call() -> None:
    assert time_spent(None, 0.0, 1.0, Down()) is None
    assert time_spent(deadline_of(FakeClock(), 1.0), None, 1.0, Down()) is None


def test_the_time_of_a_callee_is_without_that_in_queues() -> None:
    clock = FakeClock(start=100.0)
    deadline = deadline_of(clock, 60.0)
    token = waits.set(())
    try:
        clock.advance(3.0)
        with QueueWait(bind_clock("queue", clock), None):
            clock.advance(4.0)
        spent = time_spent(deadline, 100.0, 5.0, Down())
        assert spent == TimeSpent(deadline, 3.0, 5.0)
        in_queue = Down()
        mark_ended_in_queue(in_queue)
        # The wait that it ended is one of those that are known; where none is, another task waited all the time.
        assert time_spent(deadline, 100.0, 5.0, in_queue) == TimeSpent(deadline, 3.0, 5.0)
        waits.set(())
        assert time_spent(deadline, 100.0, 5.0, in_queue) == TimeSpent(deadline, 0.0, 5.0)
    finally:
        waits.reset(token)


def test_a_permit_that_keeps_nothing_is_current_and_allows_further_attempts() -> None:
    permit = Permit()
    permit.succeed(None)
    permit.fail(Down())
    assert permit.is_current()
    assert (permit.lasting, permit.contextual, permit.single_attempt) == (False, False, False)
