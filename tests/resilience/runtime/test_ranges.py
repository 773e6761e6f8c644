"""Validation of settings: what is allowed is returned, anything else is refused with its name and value."""

import asyncio
import math
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    FailureRate,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    circuit_breaker,
    deadline,
    exponential_backoff_retry,
)
from cqox.resilience.adapters.redis_circuit import RedisCircuitBreaker
from cqox.resilience.runtime.ranges import (
    Listed,
    as_listed,
    as_seconds,
    check_callable,
    check_count,
    check_exceptions,
    check_flag,
    check_kind,
    check_name,
    check_seconds,
    check_share,
)
from cqox.resilience.testing import FakeClock


async def later() -> None: ...


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_seconds, 0),
        (check_seconds, 5e-324),
        (check_seconds, 1e308),
        (partial(check_seconds, zero=False), 0.1),
        (partial(check_seconds, infinite=True), math.inf),
        (check_count, 1),
        (partial(check_count, least=0), 0),
        (check_flag, True),
        (check_flag, False),
        (check_share, 1),
        (check_share, 1e-300),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_returned(check: Callable[..., object], value: object) -> None:
    assert check("limit", value) == value


@pytest.mark.parametrize(
    ("check", "value"),
    [
        *(
            (check_seconds, value)
            for value in (timedelta(microseconds=-1), -1e-9, math.nan, math.inf, -math.inf, 10**400, True, "1", None)
        ),
        *((partial(check_seconds, zero=False), value) for value in (0, 0.0, -0.0, timedelta())),
        *((partial(check_seconds, infinite=True), value) for value in (-math.inf, -(10**400), math.nan)),
        *((check_count, value) for value in (0, -1, 1.0, True, "1", None)),
        (partial(check_count, least=0), -1),
        *((check_flag, value) for value in (0, 1, "false", None)),
        *((check_share, value) for value in (0, -0.1, 1.0000001, math.nan, True, "0.5")),
        *(
            (check_exceptions, value)
            for value in ((), (5,), (ValueError, int), int, [], [5], {ValueError: 1}, later, None)
        ),
        *((check_callable, value) for value in (5, later)),
        (partial(check_kind, kind=str), 5),
    ],
)
def test_a_value_outside_of_its_range_is_refused_with_its_name_and_itself(
    check: Callable[..., object], value: object
) -> None:
    with pytest.raises(ValueError, match=r"^limit must be ") as caught:
        check("limit", value)
    assert str(caught.value).endswith(repr(value))


def test_seconds_are_floats_also_where_an_integer_was_given() -> None:
    assert isinstance(check_seconds("limit", 3), float)
    assert check_seconds("limit", 10**400, infinite=True) == math.inf


@pytest.mark.parametrize(
    "value", [(ValueError,), (BaseException,), (BaseExceptionGroup, OSError), lambda error: True, callable]
)
def test_exceptions_are_classes_or_a_predicate(value: object) -> None:
    check_exceptions("failures", value)


@pytest.mark.parametrize(
    "listed",
    [
        KeyboardInterrupt,
        (OSError, SystemExit),
        [GeneratorExit],
        {asyncio.CancelledError},
        trio.Cancelled,
    ],
)
@pytest.mark.parametrize(
    "take",
    [
        lambda listed: Retry(exceptions=listed),
        lambda listed: exponential_backoff_retry(exceptions=listed),
        lambda listed: Retry().reconfigure(exceptions=listed),
        lambda listed: CircuitBreaker("engine", failures=listed),
        lambda listed: circuit_breaker(failures=listed),
        lambda listed: CircuitBreaker("engine").reconfigure(failures=listed),
        lambda listed: Fallback(lambda error: None, listed),
    ],
)
def test_no_part_takes_what_passes_through_every_part(take: Callable[[object], object], listed: object) -> None:
    with pytest.raises(ValueError, match=r"^(exceptions|failures) must not list [A-Z]\w+: .*; leave it out$"):
        take(listed)


def test_none_is_a_callable_and_an_instance_that_was_not_given() -> None:
    check_callable("probe", None)
    check_callable("probe", len)
    check_kind("budget", None, str)
    check_kind("budget", "text", str)


def test_a_name_is_a_text_that_is_not_empty() -> None:
    assert check_name("engine") == "engine"
    for value in ("", None, 5, b"engine"):
        with pytest.raises(ValueError, match="name must be"):
            check_name(value)


@given(st.timedeltas(min_value=timedelta()))
def test_a_timedelta_is_taken_as_its_seconds(duration: timedelta) -> None:
    assert check_seconds("limit", duration) == as_seconds(duration) == duration.total_seconds()


@pytest.mark.parametrize("listed", [OSError, (OSError,), [OSError], {OSError}, frozenset({OSError})])
def test_a_class_and_any_collection_of_classes_become_a_tuple(listed: Listed[Exception]) -> None:
    assert check_exceptions("exceptions", listed) == as_listed(listed) == (OSError,)


def test_a_predicate_is_returned_as_it_is() -> None:
    def judge(error: Exception) -> bool:
        return False

    assert check_exceptions("exceptions", judge) is as_listed(judge) is judge


@pytest.mark.parametrize("part", [Retry, Timeout, CircuitBreaker, Bulkhead, RateLimit, Hedge, deadline])
def test_a_class_that_decorates_a_function_says_that_its_settings_come_first(part: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"not <function later .*>: a part has its settings before it decorates"):
        part(later)
    with pytest.raises(ValueError, match=r"not 'x'$|not -1$"):
        part(-1 if part is CircuitBreaker else "x")


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda: FailureRate(rate=50), "rate must be a share above 0 and at most 1, not 50: write 0.5 for 50%"),
        (lambda: Retry(exceptions=lambda: True), "exceptions must take 1 argument, not ()"),
        (lambda: Retry(retry_if=lambda: True), "retry_if must take 1 argument, not ()"),
        (lambda: Retry(backoff=lambda attempt: 1.0), "backoff must take 2 arguments, not (attempt)"),
        (lambda: Retry(on_retry=lambda: None), "on_retry must take 1 argument, not ()"),
        (lambda: CircuitBreaker("engine", failure_if=lambda: True), "failure_if must take 1 argument, not ()"),
        (lambda: CircuitBreaker("engine", probe=lambda host: True), "probe must take 0 arguments, not (host)"),
        (lambda: CircuitBreaker("engine", key=5), "key must be a string, not 5"),
        (lambda: CircuitBreaker("engine", failures=CircuitOpen), "failures must not list CircuitOpen: a rejection"),
        (lambda: AdaptiveLimit(overloads=OSError), "overloads must be a function, not the exception class OSError"),
        (lambda: AdaptiveLimit(overloads=lambda: True), "overloads must take 1 argument, not ()"),
        (lambda: Shed(10, load=lambda now: 0.5), "load must take 0 arguments, not (now)"),
        (lambda: Fallback(lambda: 1), "answer must take 1 argument, not ()"),
        (lambda: FakeClock("no"), "auto must be True or False, not 'no'"),
        (
            lambda: RedisCircuitBreaker("engine", None),
            "redis must be a client, such as redis.asyncio.Redis",
        ),
        (lambda: Policy("p", RetryBudget()), "is no part: give it to one, as in Retry(3, budget=...)"),
        (
            lambda: Policy("p", circuit_breaker()),
            "circuit_breaker(...) decorates functions and is no part",
        ),
        (lambda: Policy("p", Timeout(1.0)).keyed(5), "the key must be given by a plain function or the name of a"),
        (lambda: Policy("p", Timeout(1.0)).keyed(len)("x"), "give the key before the function, as in @policy.keyed"),
    ],
)
def test_a_wrong_use_is_refused_where_it_is_written(make: Callable[[], object], refusal: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(refusal)):
        make()


@pytest.mark.parametrize("function", [bool, len, str, lambda *args: True, lambda error, more=1: True])
def test_a_function_that_takes_what_it_is_given_is_allowed(function: Callable[..., object]) -> None:
    check_callable("retry_if", function, takes=1)
