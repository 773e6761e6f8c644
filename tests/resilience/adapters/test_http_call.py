"""Requests that may be sent again, and settings that make no sense."""

import pytest

from cqox.resilience import CircuitBreaker, Hedge, Policy, Retry, idempotency_key
from cqox.resilience.adapters.http_call import HttpCall, HttpSettings, is_short, runs_alone

POLICY = Policy("settings", CircuitBreaker("settings"))


def call(method: str = "POST", *, key: bool = False, said: bool | None = None, repeatable: bool = True) -> HttpCall:
    return HttpCall(
        method,
        {"Idempotency-Key": "mine"} if key else {},
        said_idempotent=said,
        repeatable=repeatable,
        is_unsent=lambda error: isinstance(error, ConnectionRefusedError),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_an_idempotent_method_may_be_repeated(method: str) -> None:
    assert call(method).may_repeat(OSError())
    assert call(method).may_repeat(None)


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
def test_another_method_may_be_repeated_only_where_nothing_was_sent(method: str) -> None:
    assert not call(method).may_repeat(OSError())
    assert not call(method).may_repeat(None)
    assert call(method).may_repeat(ConnectionRefusedError())


def test_a_key_allows_repeats() -> None:
    assert call(key=True).may_repeat(OSError())
    with idempotency_key():
        assert call().may_repeat(OSError())


def test_the_word_of_the_user_counts_more_than_the_method() -> None:
    assert call(said=True).may_repeat(OSError())
    assert not call("GET", said=False).may_repeat(OSError())
    assert call("GET", said=False).may_repeat(ConnectionRefusedError())


def test_a_body_that_is_read_once_is_sent_once() -> None:
    assert not call("PUT", repeatable=False).may_repeat(ConnectionRefusedError())


@pytest.mark.parametrize(
    ("length", "short"),
    [("0", True), ("65536", True), ("65537", False), (None, False), ("-1", False), ("9" * 50, False), ("1e3", False)],
)
def test_a_short_body_has_a_length(length: str | None, short: bool) -> None:
    assert is_short(length) is short


def test_attempts_of_a_hedge_overlap() -> None:
    assert runs_alone(Policy("alone", Retry()))
    assert not runs_alone(Policy("together", Hedge(1.0), Retry()))


@pytest.mark.parametrize("statuses", [[99], [600], [True], ["503"]])
def test_a_status_that_is_none_is_refused(statuses: list[int]) -> None:
    with pytest.raises(ValueError, match="failure_statuses must be integers from 100 to 599"):
        HttpSettings[object](POLICY, failure_statuses=statuses, idempotent=None)


def test_a_predicate_that_would_never_be_awaited_is_refused() -> None:
    async def idempotent(request: object) -> bool:
        return True

    with pytest.raises(ValueError, match="idempotent must be a plain function"):
        HttpSettings[object](POLICY, failure_statuses=[503], idempotent=idempotent)  # type: ignore[arg-type]
