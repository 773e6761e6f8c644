"""Settings of a retry: retryable outcomes, by class and by predicate, and the longest `Retry-After`."""

import asyncio
from datetime import timedelta

import anyio
import anyio.to_thread
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, DeadlineExceeded, Rejected, ResilienceError
from cqox.resilience import (
    Policy,
    Retry,
    Timeout,
)
from cqox.resilience.retry.settings import Exceptions, RetrySettings
from cqox.resilience.testing import Script
from tests.resilience.conftest import Down
from tests.resilience.retrying import plain


def test_only_listed_exceptions_are_retried() -> None:
    retry, clock = plain(exceptions=(Down,))
    script = Script(ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        retry(script.__call__)()
    assert (script.calls, clock.sleeps) == (1, [])


@pytest.mark.parametrize("listed", [Down, [Down], {Down}])
def test_a_class_and_a_list_of_classes_are_retried_like_a_tuple(listed: Exceptions) -> None:
    retry, _ = plain(exceptions=listed)
    script = Script(Down("once"), "up")
    assert retry(script.__call__)() == "up"
    retry.reconfigure(exceptions=[KeyError])
    assert retry.settings.exceptions == (KeyError,)


def test_durations_may_be_timedeltas_at_construction_and_later() -> None:
    retry, clock = plain(base_delay=timedelta(seconds=2), max_delay=timedelta(minutes=1))
    assert retry(Script(Down(), "up").__call__)() == "up"
    retry.reconfigure(base_delay=timedelta(milliseconds=500), max_retry_after=timedelta(seconds=5))
    assert retry(Script(Down(), "up").__call__)() == "up"
    assert clock.sleeps == [2.0, 0.5]
    assert retry.settings.longest_retry_after == 5.0


def test_a_predicate_may_decide() -> None:
    retry, _ = plain(exceptions=lambda error: "soon" in str(error))
    script = Script(Down("soon"), Down("never"))
    with pytest.raises(Down, match="never"):
        retry(script.__call__)()
    assert script.calls == 2


@pytest.mark.parametrize("listed", [(Exception,), (ResilienceError,), (Exception, ValueError), (CircuitOpen,)])
def test_rejections_are_not_retried_by_default(listed: tuple[type[Exception], ...]) -> None:
    retry, _ = plain(exceptions=listed)
    script = Script(BulkheadFull("slots"))
    with pytest.raises(BulkheadFull):
        retry(script.__call__)()
    assert script.calls == 1


@pytest.mark.parametrize("listed", [BulkheadFull, Rejected])
def test_a_rejection_listed_by_name_is_retried_after_what_it_asks_for(listed: type[Exception]) -> None:
    retry, clock = plain(exceptions=(listed,))
    script = Script(BulkheadFull("slots", retry_after=4.0), "up")
    assert retry(script.__call__)() == "up"
    assert clock.sleeps == [4.0]


def test_a_timeout_of_an_attempt_is_retried(run) -> None:
    async def main() -> None:
        attempts = 0

        @Policy("slow", Retry(3, 1.0, jitter=False, idempotent=True), Timeout(2.0))
        async def call() -> int:
            nonlocal attempts
            attempts += 1
            if attempts < 3:
                await anyio.sleep_forever()
            return attempts

        start = anyio.current_time()
        assert await call() == 3
        assert anyio.current_time() - start == pytest.approx(2 + 1 + 2 + 2)

    run(main)


def test_a_group_is_retried_only_if_every_leaf_is() -> None:
    retry, _ = plain(exceptions=(Down,))
    good = ExceptionGroup("all", [Down("a"), ExceptionGroup("more", [Down("b")])])
    bad = ExceptionGroup("mixed", [Down("a"), ExceptionGroup("more", [ValueError("b")])])
    script = Script(good, bad)
    with pytest.raises(ExceptionGroup) as caught:
        retry(script.__call__)()
    assert script.calls == 2
    assert caught.value is bad


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
def test_a_base_exception_is_never_retried(error: BaseException) -> None:
    retry, _ = plain(exceptions=(BaseException,))
    script = Script(error)
    with pytest.raises(type(error)) as caught:
        retry(script.__call__)()
    assert caught.value is error
    assert script.calls == 1


def test_a_group_of_base_exceptions_is_never_retried() -> None:
    retry, _ = plain(exceptions=(BaseException,))
    script = Script(BaseExceptionGroup("mixed", [Down(), KeyboardInterrupt()]))
    with pytest.raises(BaseExceptionGroup):
        retry(script.__call__)()
    assert script.calls == 1


def test_a_deadline_that_passed_before_the_call_is_never_covered_and_one_during_it_is() -> None:
    settings = RetrySettings(exceptions=(DeadlineExceeded,))
    assert settings.covers(DeadlineExceeded(1.0))
    assert not settings.covers(DeadlineExceeded(1.0, before_call=True))
    assert not RetrySettings(exceptions=lambda error: True).covers(DeadlineExceeded(1.0, before_call=True))


def test_the_longest_retry_after_is_that_of_the_pauses_unless_it_is_set() -> None:
    assert RetrySettings(max_delay=7.0).longest_retry_after == 7.0
    assert RetrySettings(max_delay=7.0, max_retry_after=0.0).longest_retry_after == 0.0
