"""Propagation across services: no hop multiplies retries, extends the deadline or raises its criticality."""

import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio
import httpx
import pytest

from cqox.resilience import (
    Criticality,
    DeadlineExceeded,
    Policy,
    Retry,
    Timeout,
    criticality,
    current_criticality,
    deadline,
    idempotency_key,
    propagate,
    propagate_sync,
    remaining,
    retry_on_network_error,
)
from cqox.resilience.propagation.asgi import DeadlineMiddleware, Receive, Scope, Send
from cqox.resilience.runtime.call_context import attempt_made, attempt_served, call_key, serves_a_retry
from cqox.resilience.testing import FakeClock
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run

type Handler = Callable[[], Coroutine[Any, Any, int]]


@pytest.fixture(autouse=True)
def _nothing_is_left_in_force() -> Iterator[None]:
    yield
    assert (attempt_served.get(), attempt_made.get(), call_key.get()) == (0, 0, None)


class Service:
    """An ASGI app behind the middleware, that answers with the status its handler returns."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[dict[str, str]] = []
        self.app = DeadlineMiddleware(self._handle, max_seconds=60.0)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Any = scope["headers"]
        self.requests.append({name.decode(): value.decode() for name, value in headers})
        status = await self.handler()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://service",
            event_hooks={"request": [propagate]},
            timeout=None,
        )


async def get(service: Service, method: str = "GET") -> int:
    async with service.client() as client:
        response = await client.request(method, "/")
        response.raise_for_status()
        return response.status_code


async def unavailable() -> int:
    return 503


def retrying(function: Callable[[], Coroutine[Any, Any, int]], attempts: int = 3, **settings: Any) -> Handler:
    return Retry(attempts, 0.1, jitter=False, **settings)(function)


def test_three_services_in_a_row_make_as_many_attempts_as_the_first_alone(run: Run) -> None:
    last = Service(unavailable)

    async def through_last() -> int:
        try:
            return await retrying(lambda_get(last))()
        except httpx.HTTPStatusError as error:
            return error.response.status_code

    middle = Service(through_last)

    async def main() -> None:
        with pytest.raises(httpx.HTTPStatusError):
            await retrying(lambda_get(middle))()

    run(main)
    assert [request.get("x-retry-attempt") for request in middle.requests] == [None, "1", "2"]
    # The first request is no retry, so that its own is retried; the others are, so that theirs is made once.
    assert [request.get("x-retry-attempt") for request in last.requests] == [None, "1", "2", "1", "2"]


def lambda_get(service: Service) -> Handler:
    async def call() -> int:
        return await get(service)

    return call


def test_each_hop_is_given_less_time_than_the_one_before(run: Run) -> None:
    seen: list[float] = []

    async def last_handler() -> int:
        seen.append(remaining())
        return 200

    last = Service(last_handler)

    async def middle_handler() -> int:
        seen.append(remaining())
        await anyio.sleep(2.0)
        return await get(last)

    middle = Service(middle_handler)

    async def main() -> int:
        with deadline(10.0):
            await anyio.sleep(1.0)
            return await get(middle)

    assert run(main) == 200
    assert seen == pytest.approx([9.0, 7.0])


def test_a_hop_whose_time_has_passed_does_nothing(run: Run) -> None:
    calls: list[str] = []

    async def handler() -> int:
        calls.append("called")
        return 200

    service = Service(handler)

    async def main() -> int:
        async with service.client() as client:
            return (await client.get("/", headers={"X-Request-Timeout-Ms": "0"})).status_code

    assert run(main) == 504
    assert calls == []


def test_a_shorter_attempt_timeout_is_what_a_hop_receives(run: Run) -> None:
    service = Service(unavailable)

    async def main() -> None:
        policy = Policy("hop timeout", Retry(2, 0.1, jitter=False, idempotent=True), Timeout(3.0))
        with pytest.raises(httpx.HTTPStatusError), deadline(60.0):
            await policy.call(lambda_get(service))

    run(main)
    assert [int(request["x-request-timeout-ms"]) for request in service.requests] == pytest.approx([3000, 3000], abs=1)


def test_a_hop_has_the_criticality_of_its_caller_and_cannot_raise_it(run: Run) -> None:
    seen: list[Criticality] = []

    async def handler() -> int:
        seen.append(current_criticality())
        return 200

    service = Service(handler)

    async def main() -> None:
        for level in (Criticality.SHEDDABLE, Criticality.CRITICAL, Criticality.CRITICAL_PLUS, Criticality.PROBE):
            with criticality(level):
                await get(service)

    run(main)
    assert seen == [Criticality.SHEDDABLE, Criticality.CRITICAL, Criticality.CRITICAL, Criticality.CRITICAL]


def test_a_job_that_a_request_starts_in_the_group_of_the_app_is_no_retry_and_has_no_deadline(run: Run) -> None:
    seen: list[tuple[float, bool, Criticality]] = []

    async def job() -> None:
        await anyio.sleep(100.0)
        seen.append((remaining(), serves_a_retry(), current_criticality()))

    async def main() -> None:
        async with open_task_group("app") as app:

            async def handler() -> int:
                app.start_soon(job)
                return 202

            service = Service(handler)
            async with service.client() as client:
                headers = {"X-Request-Timeout-Ms": "5000", "X-Retry-Attempt": "2", "X-Criticality": "sheddable"}
                assert (await client.get("/", headers=headers)).status_code == 202

    run(main)
    assert seen == [(float("inf"), False, Criticality.CRITICAL)]


def test_every_attempt_of_a_call_carries_one_key_and_the_next_call_another(run: Run) -> None:
    service = Service(unavailable)

    async def post() -> int:
        return await get(service, "POST")

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(httpx.HTTPStatusError):
                await retrying(post, idempotency_key=True)()
        with idempotency_key("given"), pytest.raises(httpx.HTTPStatusError):
            await retrying(post, idempotency_key=True)()

    run(main)
    keys = [request["idempotency-key"] for request in service.requests]
    assert len(keys) == 9
    assert len(set(keys[:3])) == len(set(keys[3:6])) == 1
    assert keys[0] != keys[3]
    assert keys[6:] == ["given"] * 3


def test_a_request_in_the_same_process_does_not_lend_its_key_to_the_calls_behind_it(run: Run) -> None:
    async def fine() -> int:
        return 200

    last = Service(fine)

    async def through_last() -> int:
        return await get(last, "POST")

    middle = Service(through_last)

    async def main() -> int:
        with idempotency_key("of the first hop"):
            return await get(middle, "POST")

    assert run(main) == 200
    assert middle.requests[0]["idempotency-key"] == "of the first hop"
    assert "idempotency-key" not in last.requests[0]


def answers(*responses: httpx.Response) -> tuple[httpx.Client, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return responses[min(len(requests), len(responses)) - 1]

    hooks = {"request": [propagate_sync]}
    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://service", event_hooks=hooks), requests


def fetch(client: httpx.Client) -> int:
    return client.get("/").raise_for_status().status_code


def test_what_a_server_asks_for_is_waited_where_it_is_more_than_the_pause() -> None:
    clock = FakeClock()
    client, requests = answers(httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(200))
    call = retry_on_network_error(jitter=False, clock=clock)(fetch)
    with client:
        assert call(client) == 200
    assert clock.sleeps == [7.0]
    assert [request.headers.get("x-retry-attempt") for request in requests] == [None, "1"]


def test_a_server_that_asks_for_more_than_is_left_is_not_waited_for() -> None:
    clock = FakeClock()
    client, requests = answers(httpx.Response(503, headers={"Retry-After": "50"}))
    call = retry_on_network_error(jitter=False, clock=clock)(fetch)
    with client, pytest.raises(httpx.HTTPStatusError) as caught, deadline(20.0, clock=clock):
        call(client)
    assert clock.sleeps == []
    assert len(requests) == 1
    assert any("Retry-After" in note for note in caught.value.__notes__)


def test_a_retry_is_one_line_of_the_log_however_many_the_error_has(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = answers(httpx.Response(503))
    with client, caplog.at_level("WARNING", logger="cqox.resilience"), pytest.raises(httpx.HTTPStatusError) as caught:
        retry_on_network_error(clock=FakeClock())(fetch)(client)
    assert "\n" in str(caught.value)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    for number, line in enumerate(lines[:2], start=1):
        assert re.fullmatch(rf"\[Retry\] Attempt {number}/3 failed: .*503.* Retrying in \d+\.\d\ds\.\.\.", line)


def test_a_clients_mistake_is_not_retried() -> None:
    client, requests = answers(httpx.Response(422))
    with client, pytest.raises(httpx.HTTPStatusError):
        retry_on_network_error(clock=FakeClock())(fetch)(client)
    assert len(requests) == 1


def test_a_sync_call_sends_nothing_once_its_time_is_up() -> None:
    clock = FakeClock()
    client, requests = answers(httpx.Response(200))
    with client, deadline(5.0, clock=clock):
        fetch(client)
        clock.advance(5.0)
        with pytest.raises(DeadlineExceeded):
            fetch(client)
    assert len(requests) == 1
