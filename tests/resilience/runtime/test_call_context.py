"""Context of a call that is propagated between services."""

from contextvars import copy_context

import pytest

from cqox.resilience import Policy, Retry
from cqox.resilience.runtime.call_context import attempt_made, attempt_served, call_key, call_safety, serves_a_retry
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run


@pytest.mark.parametrize(("attempt", "retry"), [(0, False), (1, True), (7, True)])
def test_a_request_is_a_retry_from_its_second_attempt_on(attempt: int, retry: bool) -> None:
    context = copy_context()
    context.run(attempt_served.set, attempt)
    assert context.run(serves_a_retry) is retry
    assert not serves_a_retry()


def test_a_number_of_an_own_attempt_makes_the_request_no_retry() -> None:
    context = copy_context()
    context.run(attempt_made.set, 3)
    assert not context.run(serves_a_retry)


def test_a_job_in_a_group_that_is_further_out_has_no_part_in_the_call(run: Run) -> None:
    seen: list[object] = []

    async def job() -> None:
        seen.append((attempt_served.get(), attempt_made.get(), call_key.get()))

    async def main() -> None:
        async with open_task_group() as outer:
            for variable, value in ((attempt_served, 1), (attempt_made, 2), (call_key, "key")):
                variable.set(value)  # type: ignore[arg-type]
            outer.start_soon(job)
            async with open_task_group() as inner:
                inner.start_soon(job)

    run(main)
    assert sorted(seen, key=str) == [(0, 0, None), (1, 2, "key")]


class Once:
    """A request that may be sent again only after one kind of exception."""

    def may_repeat(self, error: Exception | None) -> bool:
        return isinstance(error, KeyError)


@pytest.mark.parametrize(("error", "calls"), [(KeyError, 3), (ValueError, 1)])
def test_an_adapter_decides_whether_a_retry_repeats_a_request(error: type[Exception], calls: int) -> None:
    made: list[object] = []

    def fail() -> None:
        made.append(None)
        raise error

    def call() -> None:
        call_safety.set(Once())
        with pytest.raises(error) as caught:
            Policy("adapted", Retry(3, 0.0, idempotent=error is ValueError)).call(fail)
        assert ("not idempotent" in str(getattr(caught.value, "__notes__", ""))) is (error is ValueError)

    copy_context().run(call)
    assert len(made) == calls
    assert call_safety.get() is None
