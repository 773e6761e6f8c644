"""The middleware of aiohttp: no hedges, and the repeats that aiohttp makes itself."""

from typing import Any

import aiohttp
import anyio
import pytest

from cqox.resilience import CircuitBreaker, Hedge, Policy, Retry, classify
from cqox.resilience.adapters.aiohttp import FailedResponse, ResilientMiddleware
from cqox.resilience.retry.retry_after import retry_after_of
from tests.resilience.adapters.scripted_server import DROP, Answer, serving

BUSY = Answer(503, b"busy", {"Retry-After": "3"})


def session_with(policy: Policy) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(middlewares=[ResilientMiddleware(policy)])


def test_a_form_with_a_file_is_sent_once(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def main() -> None:
        async with session_with(Policy("form", Retry(3, 0.0))) as session:
            with path.open("rb") as file:
                async with session.put(server.url, data={"file": file}) as response:
                    assert response.status == 503
            async with session.put(server.url, json={"again": True}) as response:
                assert response.status == 200

    with serving(BUSY, BUSY) as server:
        anyio.run(main)
        assert [seen.headers["content-type"].partition(";")[0] for seen in server.requests] == [
            "multipart/form-data",
            "application/json",
            "application/json",
        ]


def test_a_hedge_makes_one_attempt() -> None:
    async def main() -> None:
        async with session_with(Policy("hedged", Hedge(0.000001))) as session:
            async with session.get(server.url) as response:
                assert response.status == 200

    with serving() as server:
        anyio.run(main)
        assert len(server.requests) == 1


def test_aiohttp_repeats_a_broken_request_as_a_call_of_its_own() -> None:
    breaker = CircuitBreaker("broken", 5, 60.0)

    async def main() -> None:
        async with session_with(Policy("broken", breaker)) as session:
            async with session.get(server.url) as response:
                assert response.status == 200

    with serving(DROP) as server:
        anyio.run(main)
        assert len(server.requests) == 2
    assert (breaker.snapshot().failure, breaker.snapshot().success) == (1, 1)


def test_raise_for_status_is_up_to_the_session() -> None:
    async def main() -> None:
        middleware = ResilientMiddleware(Policy("raising", Retry(2, 0.0, max_retry_after=0.0)))
        async with aiohttp.ClientSession(middlewares=[middleware], raise_for_status=True) as session:
            with pytest.raises(aiohttp.ClientResponseError) as caught:
                await session.get(server.url)
        assert not isinstance(caught.value, FailedResponse)
        failure = classify(caught.value)
        assert (failure.code, failure.transient, failure.overload) == ("503", True, True)
        assert retry_after_of(caught.value) == 3.0

    with serving(BUSY) as server:
        anyio.run(main)
