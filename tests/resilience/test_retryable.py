"""Retryable outcomes: by class, by predicate, and by idempotence."""

import asyncio

import anyio
import anyio.to_thread
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, Rejected, ResilienceError
from cqox.resilience import (
    Policy,
    Retry,
    Timeout,
    exponential_backoff_retry,
    retry_on_database_error,
    retry_on_network_error,
)
from cqox.resilience.testing import FakeClock, Script
from tests.resilience.conftest import Down
from tests.resilience.retrying import plain


def test_only_listed_exceptions_are_retried() -> None:
    retry, clock = plain(exceptions=(Down,))
    script = Script(ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        retry(script.__call__)()
    assert (script.calls, clock.sleeps) == (1, [])


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


def test_inside_of_a_policy_only_what_was_never_sent_is_repeated_unless_idempotent() -> None:
    def attempts(error: Exception, **settings: object) -> int:
        script = Script(error)
        policy = Policy("orders", Retry(3, 0.0, clock=FakeClock(), **settings))
        with pytest.raises(type(error)):
            policy(script.__call__)()
        return script.calls

    assert attempts(ConnectionResetError("cut")) == 1
    assert attempts(ConnectionRefusedError("refused")) == 1
    assert attempts(ConnectionResetError("cut"), idempotent=True) == 3


def test_a_bare_decorator_counts_as_idempotent() -> None:
    script = Script(ConnectionResetError("cut"), "up")
    assert Retry(2, 0.0, clock=FakeClock())(script.__call__)() == "up"
    script = Script(ConnectionResetError("cut"), "up")
    assert exponential_backoff_retry(base_delay=0.0, clock=FakeClock())(script.__call__)() == "up"


def test_what_stopped_a_call_that_is_not_idempotent_is_said() -> None:
    error = Down("maybe done")
    with pytest.raises(Down):
        Policy("orders", Retry(3, clock=FakeClock()))(Script(error).__call__)()
    assert "not idempotent" in error.__notes__[0]


def test_network_and_database_errors_have_decorators_of_their_own() -> None:
    def attempts(decorate: object, error: Exception) -> int:
        script = Script(error)
        with pytest.raises(type(error)):
            decorate(base_delay=0.0, clock=FakeClock())(script.__call__)()
        return script.calls

    class SerializationFailure(Exception):
        sqlstate = "40001"

    assert attempts(retry_on_network_error, ConnectionResetError("cut")) == 3
    assert attempts(retry_on_network_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_database_error, SerializationFailure()) == 3
    assert attempts(retry_on_database_error, ValueError("a mistake")) == 1
    assert attempts(retry_on_network_error, SerializationFailure()) == 1
