"""Requests under the policies of a server, on both event loops and in virtual time."""

import base64
import gzip
import hashlib
import io
import math
import os
from collections.abc import Callable
from dataclasses import replace

import anyio
import httpx
import pytest

from cqox.client.address import Server
from cqox.client.connection import Call, Connection
from cqox.client.oauth import Granted
from cqox.client.policies import ATTEMPT_SECONDS
from cqox.errors import (
    AttemptTimeout,
    CircuitOpen,
    DeadlineExceeded,
    EngineUnavailable,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RateLimited,
    ServerUnreachable,
)
from cqox.resilience import deadline
from tests.client.scripted import URL, Pieces, Scripted, answer, problem, stream

pytestmark = pytest.mark.anyio
GET = Call(method="GET", path="/api/health", query={"lang": "ja"})


async def test_a_request_says_who_asks_and_for_how_long() -> None:
    server = Scripted(answer({}))
    connection = server.connection(headers={"Authorization": "Bearer secret"}, timeout=20.0)
    assert (await connection.send(GET)).json() == {}
    request = server.requests[0]
    assert str(request.url) == f"{URL}/api/health?lang=ja"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("cqox/")
    assert request.headers["Accept-Language"] == "en"
    assert request.headers["X-Request-Timeout-Ms"] == "20000"
    with deadline(3.0):
        await connection.send(GET)
    assert server.requests[1].headers["X-Request-Timeout-Ms"] == "3000"


@pytest.mark.parametrize(
    "step",
    [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.Response(502, text="x"), problem(503, "draining")],
    ids=["refused", "silent", "proxy", "draining"],
)
async def test_what_may_pass_is_repeated_and_says_so(step: httpx.Response | Exception) -> None:
    server = Scripted(step, step, answer({"a": 1}))
    assert (await server.connection().send(GET)).json() == {"a": 1}
    assert [request.headers.get("X-Retry-Attempt") for request in server.requests] == [None, "1", "2"]


async def test_a_compressed_answer_is_compared_with_its_digest_before_it_is_expanded() -> None:
    packed = gzip.compress(b'{"a": 1}')
    digest = base64.b64encode(hashlib.sha256(packed).digest()).decode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Content-Digest": f"sha-256=:{digest}:"}

    def step(content: bytes) -> Callable[[httpx.Request], httpx.Response]:
        return lambda request: httpx.Response(200, stream=Pieces([content[:9], content[9:]]), headers=headers)

    # Another level leaves the same content in other bytes.
    server = Scripted(step(gzip.compress(b'{"a": 1}', 0)), step(packed))
    assert (await server.connection().send(GET)).json() == {"a": 1}
    assert len(server.requests) == 2


async def test_what_is_wrong_is_not_repeated() -> None:
    server = Scripted(problem(404, "not-found"))
    with pytest.raises(NotFound):
        await server.connection().send(GET)
    assert len(server.requests) == 1


async def test_attempts_are_few_and_the_caller_may_want_one() -> None:
    server = Scripted(httpx.ReadError("x"))
    with pytest.raises(ServerUnreachable):
        await server.connection().send(GET)
    assert len(server.requests) == 4
    with pytest.raises(ServerUnreachable):
        await server.connection().send(GET, retries=False)
    assert len(server.requests) == 5


async def test_retry_after_is_heeded() -> None:
    server = Scripted(problem(429, "rate-limited", headers={"Retry-After": "9"}), answer({}))
    began = anyio.current_time()
    await server.connection().send(GET)
    assert 9 <= anyio.current_time() - began < 10
    server = Scripted(problem(429, "rate-limited", headers={"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as caught:
        await server.connection().send(GET)
    assert caught.value.retry_after == 3600
    assert any("at most 30 s" in note for note in caught.value.__notes__)


async def test_an_attempt_that_hangs_leaves_time_for_another() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(math.inf)
        raise AssertionError

    connection = Connection(Server(url=URL, timeout=200.0, transport=httpx.MockTransport(hang)))
    began = anyio.current_time()
    with pytest.raises(AttemptTimeout):
        await connection.send(GET)
    assert 4 * ATTEMPT_SECONDS <= anyio.current_time() - began < 4 * ATTEMPT_SECONDS + 10
    with pytest.raises(DeadlineExceeded):
        await Connection(Server(url=URL, timeout=20.0, transport=httpx.MockTransport(hang))).send(GET)


async def test_a_cancellation_ends_a_request_at_once() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(math.inf)
        raise AssertionError

    connection = Connection(Server(url=URL, transport=httpx.MockTransport(hang)))
    began = anyio.current_time()
    with anyio.move_on_after(1.0):
        await connection.send(GET)
    assert anyio.current_time() - began < 1.1


async def test_the_circuit_opens_for_a_dead_server_and_closes_again() -> None:
    server = Scripted(*[httpx.ConnectError("x")] * 5, answer({}))
    connection = server.connection()
    for _ in range(5):
        with pytest.raises(ServerUnreachable):
            await connection.send(GET, retries=False)
    with pytest.raises(CircuitOpen, match=URL):
        await connection.send(GET)
    assert len(server.requests) == 5
    await anyio.sleep(5.1)
    for _ in range(2):
        await connection.send(GET)


async def test_answers_that_are_errors_do_not_open_the_circuit() -> None:
    connection = Scripted(problem(503, "engine-unavailable")).connection()
    for _ in range(10):
        with pytest.raises(EngineUnavailable):
            await connection.send(GET, retries=False)


async def test_a_file_begins_again_in_every_attempt() -> None:
    content = os.urandom(600_000)
    server = Scripted(httpx.ReadError("x"), answer({}))
    sent = list[int]()
    call = Call(method="POST", path="/api/datasets", headers={"Content-Length": str(len(content))})
    await server.connection().upload(call, io.BytesIO(content), sent.append)
    assert [request.content == content for request in server.requests] == [True, True]
    assert "Transfer-Encoding" not in server.requests[0].headers
    assert sent == [0, 262_144, 524_288, 600_000] * 2


async def test_a_stream_yields_what_arrives_and_its_loss() -> None:
    server = Scripted(stream(b"a", b"b"), stream(b"c", httpx.ReadError("cut")), problem(404, "not-found"))
    connection = server.connection()
    async with connection.stream(GET) as chunks:
        assert [chunk async for chunk in chunks] == [b"a", b"b"]
    with pytest.raises(ServerUnreachable, match="cut"):
        async with connection.stream(GET) as chunks:
            assert [chunk async for chunk in chunks] == [b"c"]
    with pytest.raises(NotFound):
        async with connection.stream(GET):
            pass


async def test_connections_open_again_after_the_end() -> None:
    server = Scripted(answer({}))
    async with Connection.open(Server(url=URL, transport=server.transport)) as connection:
        await connection.send(GET)
        first = connection._http
    assert first is not None
    assert first.is_closed
    await connection.send(GET)
    assert connection._http is not first
    await connection.aclose()
    await connection.aclose()


def test_every_event_loop_has_connections_of_its_own() -> None:
    server = Scripted(answer({}))
    connection = server.connection()
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(connection.send, GET, backend=backend)
    assert len(server.requests) == 3


async def test_redirects_are_not_followed_so_that_a_token_stays() -> None:
    server = Scripted(httpx.Response(302, headers={"Location": "http://elsewhere/"}))
    with pytest.raises(InvalidRequest, match="redirects to http://elsewhere/"):
        await server.connection(headers={"Authorization": "Bearer secret"}).send(GET)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("url", "trusts"), [("http://127.0.0.1:1", False), ("http://cqox.example.com", True)])
async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    url: str, trusts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    connection = Connection(Server(url=url))
    client = connection._client()
    assert client.trust_env == trusts
    assert bool(client._mounts) == trusts
    await connection.aclose()


async def test_a_call_may_take_longer_than_others() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(ATTEMPT_SECONDS + 30.0)
        return answer({"a": request.headers["X-Request-Timeout-Ms"]})

    connection = Connection(Server(url=URL, transport=httpx.MockTransport(slow)))
    with pytest.raises(DeadlineExceeded):
        await connection.send(GET)
    assert (await connection.send(replace(GET, seconds=100.0))).json() == {"a": "100000"}


class Granting:
    """Grants numbered tokens, and remembers which were refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    async def fetch(self, server: str, http: object, refused: str) -> Granted:
        self.refused.append(refused)
        return Granted(access_token=f"token-{len(self.refused)}", seconds=600.0)


def granted_connection(server: Scripted, grant: Granting) -> Connection:
    return Connection(replace(server.connection().server, grant=grant))


def sent_tokens(server: Scripted) -> list[str]:
    return [request.headers["Authorization"] for request in server.requests]


async def test_a_refused_token_is_replaced_once_and_the_request_sent_again() -> None:
    server, grant = Scripted(problem(401, "not-authenticated"), answer({"a": 1})), Granting()
    connection = granted_connection(server, grant)
    assert (await connection.send(GET)).json() == {"a": 1}
    assert sent_tokens(server) == ["Bearer token-1", "Bearer token-2"]
    assert grant.refused == ["", "token-1"]


async def test_a_second_refusal_is_the_answer() -> None:
    server, grant = Scripted(problem(401, "not-authenticated"), problem(401, "not-authenticated")), Granting()
    with pytest.raises(NotAuthenticated):
        await granted_connection(server, grant).send(GET)
    assert sent_tokens(server) == ["Bearer token-1", "Bearer token-2"]


async def test_an_upload_with_a_refused_token_is_sent_again_from_its_beginning() -> None:
    server, grant = Scripted(problem(401, "not-authenticated"), answer({})), Granting()
    call = Call(method="POST", path="/api/datasets")
    await granted_connection(server, grant).upload(call, io.BytesIO(b"y,w\n1,0\n"), lambda _: None)
    assert [request.content for request in server.requests] == [b"y,w\n1,0\n"] * 2


async def test_an_event_stream_with_a_refused_token_is_opened_again() -> None:
    server, grant = Scripted(problem(401, "not-authenticated"), stream(b"data: 1\n\n")), Granting()
    async with granted_connection(server, grant).stream(GET) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"data: 1\n\n"
    assert sent_tokens(server) == ["Bearer token-1", "Bearer token-2"]
