"""Classification of exception groups, as raised by task groups."""

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, DeadlineExceeded
from cqox.resilience import Bulkhead, CircuitBreaker, CircuitState, deadline
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run


def fail(error: BaseException) -> None:
    raise error


def state_after(breaker: CircuitBreaker, error: Exception) -> CircuitState:
    with pytest.raises(type(error)) as caught:
        breaker(fail)(error)
    assert caught.value is error
    return breaker.state


class Outage(ExceptionGroup[Exception]):
    """A group class that is listed by itself."""


def test_a_group_that_holds_a_listed_failure_is_one() -> None:
    error = ExceptionGroup("", [ValueError(), ExceptionGroup("", [ConnectionResetError()])])
    assert state_after(CircuitBreaker("listed", 1, failures=(ConnectionError,)), error) is CircuitState.OPEN


def test_a_group_that_holds_none_is_ignored() -> None:
    breaker = CircuitBreaker("unlisted", 1, failures=(ConnectionError,))
    assert state_after(breaker, ExceptionGroup("", [ValueError(), KeyError()])) is CircuitState.CLOSED
    assert breaker.snapshot().ignored == 1


def test_a_predicate_is_asked_about_the_leaves() -> None:
    breaker = CircuitBreaker("predicate", 1, failures=lambda error: "down" in str(error))
    assert state_after(breaker, ExceptionGroup("down", [ValueError("mistake")])) is CircuitState.CLOSED
    assert state_after(breaker, ExceptionGroup("", [ValueError("down")])) is CircuitState.OPEN


def test_a_class_of_groups_may_be_listed_itself() -> None:
    assert state_after(CircuitBreaker("group", 1, failures=(Outage,)), Outage("", [ValueError()])) is CircuitState.OPEN


@pytest.mark.parametrize("leaf", [CircuitOpen("other"), BulkheadFull("pool"), DeadlineExceeded(1.0, before_call=True)])
def test_a_group_of_nothing_but_refusals_is_no_failure(leaf: Exception) -> None:
    error = ExceptionGroup("", [leaf, ExceptionGroup("", [leaf])])
    assert state_after(CircuitBreaker("refusals", 1), error) is CircuitState.CLOSED


def test_a_refusal_in_a_task_of_the_callee_is_no_failure(run: Run) -> None:
    breaker, bulkhead = CircuitBreaker("task", 1), Bulkhead(1)

    async def child() -> None:
        async with bulkhead:
            pytest.fail("let in")

    @breaker
    async def work() -> None:
        async with open_task_group() as group:
            group.start_soon(child)

    async def main() -> None:
        async with bulkhead:
            with pytest.raises(ExceptionGroup):
                await work()

    run(main)
    assert breaker.state is CircuitState.CLOSED


def test_a_deadline_in_a_group_is_a_failure_only_after_a_fair_share_of_the_time(run: Run) -> None:
    breaker = CircuitBreaker("share", 1)

    @breaker
    async def work(seconds: float) -> None:
        await anyio.sleep(seconds)
        raise ExceptionGroup("", [DeadlineExceeded(seconds)])

    async def main() -> list[CircuitState]:
        states = []
        for seconds in (0.5, 1.0):
            with pytest.raises(ExceptionGroup), deadline(30.0):
                await work(seconds)
            states.append(breaker.state)
        return states

    assert run(main) == [CircuitState.CLOSED, CircuitState.OPEN]
