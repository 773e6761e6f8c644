"""Attempts of httpx and httpx2 that a server on loopback cannot show: transports of others, hedges, extensions."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
import trio.testing

from cqox.resilience import Hedge, Policy, Retry, deadline
from cqox.resilience.adapters import httpx as for_httpx
from cqox.resilience.adapters import httpx2 as for_httpx2
from cqox.resilience.testing import VirtualTimeLoop
from tests.resilience.adapters.scripted_server import refusing

BOTH = pytest.mark.parametrize(
    ("library", "adapter"), [(httpx, for_httpx), (httpx2, for_httpx2)], ids=["httpx", "httpx2"]
)
pytestmark = BOTH


class Closing:
    """A body that records that it was closed; of both libraries, as they only look at the methods."""

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> Any:
        yield b"body"

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1


def body_of(library: Any) -> Any:
    return type("Body", (Closing, library.AsyncByteStream), {})()


def asynchronous(library: Any, adapter: Any, policy: Policy, answer: Callable[[Any], Any]) -> Any:
    return library.AsyncClient(transport=adapter.ResilientTransport(policy, library.MockTransport(answer)))


def test_a_transport_of_others_proves_nothing_by_the_name_of_its_exception(library: Any, adapter: Any) -> None:
    requests: list[object] = []

    def refuse(request: Any) -> Any:
        requests.append(request)
        raise library.ConnectError("perhaps", request=request)

    transport = adapter.ResilientSyncTransport(Policy("unproven", Retry(3, 0.0)), library.MockTransport(refuse))
    with library.Client(transport=transport) as client:
        with pytest.raises(library.ConnectError):
            client.post("http://other/", content=b"once")
        assert len(requests) == 1
        with pytest.raises(library.ConnectError):
            client.get("http://other/")
        assert len(requests) == 4


def test_the_request_of_the_caller_stays_as_it_was(library: Any, adapter: Any) -> None:
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return library.Response(503 if len(sent) == 1 else 200)

    transport = adapter.ResilientSyncTransport(Policy("copied", Retry(2, 0.0)), library.MockTransport(answer))
    with library.Client(transport=transport, timeout=300.0) as client:
        request = client.build_request("GET", "http://other/")
        before = dict(request.headers)
        with deadline(60.0):
            response = client.send(request)
    assert response.request is request
    assert dict(request.headers) == before
    assert request.extensions["timeout"]["read"] == 300.0
    assert [each.headers.get("x-retry-attempt") for each in sent] == [None, "1"]
    assert all(0 < each.extensions["timeout"][wait] <= 60.0 for each in sent for wait in ("connect", "read", "pool"))


def test_a_shorter_timeout_of_the_client_stays(library: Any, adapter: Any) -> None:
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return library.Response(200)

    transport = adapter.ResilientSyncTransport(Policy("shorter", Retry(2, 0.0)), library.MockTransport(answer))
    with library.Client(transport=transport, timeout=library.Timeout(1.0, pool=None)) as client, deadline(60.0):
        client.get("http://other/")
    assert sent[0].extensions["timeout"]["read"] == 1.0
    assert 59 < sent[0].extensions["timeout"]["pool"] <= 60.0


def run(backend: str, main: Callable[[], Any]) -> None:
    options: dict[str, Any] = (
        {"loop_factory": VirtualTimeLoop}
        if backend == "asyncio"
        else {"clock": trio.testing.MockClock(autojump_threshold=0)}
    )
    anyio.run(main, backend=backend, backend_options=options)


def test_a_retry_around_the_client_knows_that_its_only_request_was_never_sent(library: Any, adapter: Any) -> None:
    inside, outside = list[object](), list[object]()
    once = Policy("once", Retry(1, on_retry=inside.append))
    around = Policy("around", Retry(3, 0.0, on_retry=outside.append))
    with refusing() as url, library.Client(transport=adapter.ResilientSyncTransport(once)) as client:
        with pytest.raises(library.ConnectError):
            around.call(client.post, url, content=b"often")
    assert (len(inside), len(outside)) == (0, 2)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancellation_in_a_pause_closes_the_failed_response(library: Any, adapter: Any, backend: str) -> None:
    body = body_of(library)

    async def main() -> None:
        policy = Policy("paused", Retry(2, 60.0))
        async with asynchronous(library, adapter, policy, lambda _: library.Response(503, stream=body)) as client:
            with anyio.move_on_after(1.0) as scope:
                await client.get("http://other/")
        assert scope.cancelled_caught
        assert body.closed == 1

    run(backend, main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hedged_attempt_leaves_the_response_of_another_that_pauses(library: Any, adapter: Any, backend: str) -> None:
    first = body_of(library)
    closed: list[int] = []

    async def answer(request: Any) -> Any:
        closed.append(first.closed)
        return library.Response(503, stream=first) if len(closed) == 1 else library.Response(200)

    async def main() -> None:
        policy = Policy("hedged", Hedge(1.0), Retry(2, 9.0))
        async with asynchronous(library, adapter, policy, answer) as client:
            assert (await client.get("http://other/")).status_code == 200

    run(backend, main)
    assert closed == [0, 0]
    assert first.closed == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hedge_closes_the_response_that_is_not_used(library: Any, adapter: Any, backend: str) -> None:
    bodies = [body_of(library), body_of(library)]
    given = iter(bodies)

    async def answer(request: Any) -> Any:
        body = next(given)
        await anyio.sleep(2.0 if body is bodies[0] else 1.0)
        return library.Response(200, stream=body)

    async def main() -> None:
        async with asynchronous(library, adapter, Policy("hedged", Hedge(1.0)), answer) as client:
            async with client.stream("GET", "http://other/"):
                assert sum(body.closed for body in bodies) <= 1
        assert [body.closed for body in bodies if body.closed] in ([1], [1, 1])

    run(backend, main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hedge_sends_no_second_post(library: Any, adapter: Any, backend: str) -> None:
    sent: list[str] = []

    async def answer(request: Any) -> Any:
        sent.append(request.method)
        await anyio.sleep(5.0)
        return library.Response(200)

    async def main() -> None:
        async with asynchronous(library, adapter, Policy("hedged", Hedge(1.0)), answer) as client:
            await client.post("http://other/", content=b"once")
            await client.get("http://other/")

    run(backend, main)
    assert sent == ["POST", "GET", "GET"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_failed_response_is_closed_before_the_next_attempt(library: Any, adapter: Any, backend: str) -> None:
    bodies: list[Any] = []
    open_before: list[int] = []

    async def answer(request: Any) -> Any:
        open_before.append(sum(not body.closed for body in bodies))
        bodies.append(body_of(library))
        return library.Response(503, stream=bodies[-1])

    async def main() -> None:
        async with asynchronous(library, adapter, Policy("closed", Retry(3, 0.0)), answer) as client:
            async with client.stream("GET", "http://other/") as response:
                assert [body.closed for body in bodies] == [1, 1, 0]
                assert await response.aread() == b"body"

    run(backend, main)
    assert open_before == [0, 0, 0]
    assert [body.closed for body in bodies] == [1, 1, 1]
