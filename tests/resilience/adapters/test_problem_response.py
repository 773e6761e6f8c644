"""Responses to errors of the library, apart from any framework."""

import json
import math

import pytest

from cqox.errors import CircuitOpen, DeadlineExceeded, QuotaExceeded, RateLimited, Rejected, Shed
from cqox.resilience.adapters.problem_response import ProblemResponse, answer_expired, problem_response
from cqox.resilience.propagation.asgi import Scope

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("seconds", "field"),
    [(0.0, None), (-1.0, None), (math.inf, None), (math.nan, None), (1e-9, 1), (1.0, 1), (1.0001, 2), (59.5, 60)],
)
async def test_the_wait_is_rounded_up_to_whole_seconds_and_absent_where_it_is_unknown(
    seconds: float, field: int | None
) -> None:
    assert problem_response(Rejected("part", retry_after=seconds)) == ProblemResponse(status=503, retry_after=field)


@pytest.mark.parametrize(
    ("leaves", "response"),
    [
        ([RateLimited("a", retry_after=2.0), QuotaExceeded("b", detail="d", retry_after=3.0)], (429, 3)),
        ([RateLimited("a", retry_after=9.0), Shed("b")], (503, 9)),
        ([CircuitOpen("a", retry_after=9.0), DeadlineExceeded(1.0)], (504, None)),
        ([CircuitOpen("a", retry_after=9.0), ValueError()], None),
        ([ExceptionGroup("in", [ValueError()])], None),
    ],
)
async def test_a_group_has_a_response_if_each_of_its_errors_has(
    leaves: list[Exception], response: tuple[int, int | None] | None
) -> None:
    found = problem_response(ExceptionGroup("around", leaves))
    assert (found and (found.status, found.retry_after)) == response


async def test_other_errors_have_no_response() -> None:
    assert problem_response(ValueError()) is None
    assert problem_response(TimeoutError()) is None
    assert problem_response(KeyboardInterrupt()) is None


async def test_a_response_is_an_asgi_app() -> None:
    sent: list[Scope] = []

    async def receive() -> Scope:
        raise AssertionError("a response reads nothing")

    async def send(message: Scope) -> None:
        sent.append(message)

    await answer_expired({"type": "http"}, receive, send)
    start, body = sent
    assert start["status"] == 504
    raw = body["body"]
    assert isinstance(raw, bytes)
    assert (b"content-length", str(len(raw)).encode()) in start["headers"]  # type: ignore[operator]
    assert json.loads(raw)["title"] == "Gateway Timeout"
