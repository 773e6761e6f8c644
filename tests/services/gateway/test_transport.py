"""The transport on the wire, plain and over TLS, against a scripted peer on real sockets."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, suppress

import httpx
import pytest
import trio
from structlog.testing import capture_logs

from cqox.errors import EngineUnavailable
from services.gateway.engine_client import AnswerTooLarge, Call, EngineClient
from services.gateway.engine_request import EngineRequest, OutgoingFields, Target
from services.gateway.tls import EngineTls
from services.gateway.transport import EngineTransport
from tests.services.gateway.exchanges import answer_to
from tests.services.gateway.scripted_peer import GET, LOCALHOST, OK, Peer, certified, talking
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))
    return str(request.param)


@pytest.mark.trio
async def test_a_connection_is_kept_and_no_cookie_is(scheme):
    async with talking([OK, OK, OK], scheme=scheme) as (peer, client):
        for _ in range(3):
            assert (await client.send(GET)).body == b"ok"
        assert len(peer.seen) == 1
        assert not any(b"cookie" in request.lower() for request in peer.seen[0])


@pytest.mark.trio
async def test_a_connection_that_the_engine_has_closed_is_not_used_again(scheme):
    async with talking([OK], [OK], scheme=scheme) as (peer, client):
        await client.send(GET)
        await trio.sleep(0.05)
        assert (await client.send(GET)).status == 200
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_an_engine_that_will_close_its_connection_is_believed(scheme):
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with talking([closing], [OK], scheme=scheme) as (peer, client):
        await client.send(GET)
        await client.send(GET)
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_a_stream_that_is_left_early_gives_its_connection_up(scheme):
    async with talking([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour"], [OK], scheme=scheme) as (peer, client):
        streamed = await client.begin(GET)
        assert await anext(streamed.chunks) == b"four"
        await streamed.close()
        await client.send(GET)
        assert len(peer.seen) == 2


@pytest.mark.trio
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n",
        b"HTTP/1.1 200 OK\r\ncont",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_cut_or_broken_is_an_error_of_the_transport(answer, scheme):
    async with talking([answer], scheme=scheme) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.send(GET)


@pytest.mark.trio
async def test_interim_answers_are_passed_over():
    async with talking([b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK]) as (_, client):
        assert (await client.send(GET)).status == 200


@pytest.mark.trio
async def test_an_answer_that_comes_before_the_whole_upload_is_the_answer():
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield bytes(2**20)

    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch"
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def refuse() -> None:
        stream = await listener.accept()
        await stream.send_all(answer_to(await stream.receive_some(), refusal))
        await stream.send_eof()
        # An engine lingers, so that its answer is not lost with a reset; then it has had enough.
        with trio.move_on_after(0.2):
            while await stream.receive_some(2**20):
                pass
        await stream.aclose()

    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(refuse)
            try:
                async with aclosing(endless()) as content:
                    answer = await client.send(Call(method="POST", target=b"/", content=content))
            except httpx.ReadError:
                # The reset may overtake the answer in the kernel; it never becomes a hang or another error.
                return
            assert (answer.status, answer.body) == (413, b"much")


@pytest.mark.trio
async def test_a_refused_connection_is_a_connect_error():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    async with EngineClient.open(url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.send(GET)


@pytest.mark.trio
async def test_what_comes_beyond_an_answer_is_no_answer_to_the_next_request(scheme):
    stale = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale"
    with capture_logs() as said:
        await ask_twice(stale, scheme)
    assert f"sent {len(stale)} bytes beyond its answer" in said[0]["event"]


async def ask_twice(stale: bytes, scheme: str) -> None:
    async with talking([OK + stale], [OK], scheme=scheme) as (peer, client):
        assert (await client.send(GET)).body == b"ok"
        assert (await client.send(GET)).body == b"ok"
        assert len(peer.seen) == 2


@pytest.mark.trio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\ncont", "the connection was closed in the middle of the answer"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour",
            "the connection was closed in the middle of the answer",
        ),
        (b"nonsense\r\n\r\n", "what came is no HTTP/1.1: illegal status line"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
            "what came is no HTTP/1.1: illegal chunk header",
        ),
    ],
)
async def test_a_malformed_response_is_described_without_quoting_it(answer, words, scheme):
    async with talking([answer], scheme=scheme) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await client.send(GET)
        assert str(caught.value) == words


@pytest.mark.trio
@pytest.mark.parametrize("framing", [b"", b"content-length: 5000\r\n"])
async def test_an_answer_beyond_the_bound_is_given_up(framing):
    answer = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + bytes(2000)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listener, [[answer]])
    with trio.fail_after(PATIENCE_SECONDS):
        opened = EngineClient.open(peer.url, max_answer_bytes=1999)
        async with listener, trio.open_nursery() as nursery, opened as client:
            nursery.start_soon(peer.serve)
            with pytest.raises(AnswerTooLarge, match="larger than the limit of 1,999 bytes"):
                await client.send(GET)
    assert issubclass(AnswerTooLarge, EngineUnavailable)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("head", "framed"), [(b"", False), (b"content-length: 2\r\n", True), (b"transfer-encoding: chunked\r\n", True)]
)
async def test_an_answer_knows_whether_it_says_where_it_ends(head, framed):
    body = b"2\r\nok\r\n0\r\n\r\n" if b"chunked" in head else b"ok"
    async with talking([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body]) as (_, client):
        reply = await client.send(GET)
        assert (reply.body, reply.framed) == (b"ok", framed)


@pytest.mark.trio
async def test_a_failure_that_names_no_request_says_so(monkeypatch):
    named = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    async with talking([named]) as (_, client):
        assert (await client.send(GET)).attributed
    monkeypatch.setattr("tests.services.gateway.scripted_peer.answer_to", lambda _, answer: answer)
    async with talking([named]) as (_, client):
        assert not (await client.send(GET)).attributed


@pytest.mark.trio
async def test_what_comes_beyond_an_answer_in_a_record_of_its_own_is_no_answer_either(scheme):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    seen = 0

    async def serve() -> None:
        nonlocal seen
        while True:
            stream: trio.abc.Stream = await listener.accept()
            seen += 1
            if scheme == "https":
                stream = trio.SSLStream(stream, certified(), server_side=True, https_compatible=True)
            async with stream:
                request = await stream.receive_some()
                await stream.send_all(answer_to(request, OK))
                await stream.send_all(answer_to(request, OK.replace(b"ok", b"no")))

    url = f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(serve)
            for _ in range(5):
                assert (await client.send(GET)).body == b"ok"
                await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
    assert seen == 5


@pytest.mark.trio
async def test_a_large_body_goes_through_tls_both_ways(scheme):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    size = 3 * 2**20 + 17

    async def serve() -> None:
        stream: trio.abc.Stream = await listener.accept()
        if scheme == "https":
            stream = trio.SSLStream(stream, certified(), server_side=True, https_compatible=True)
        got = b""
        async with stream:
            while len(got.partition(b"\r\n\r\n")[2]) < size:
                got += await stream.receive_some()
            body = got.partition(b"\r\n\r\n")[2][::-1]
            await stream.send_all(answer_to(got, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + body))

    sent = (bytes(range(256)) * (size // 256 + 1))[:size]
    url = f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(serve)
            assert (await client.send(Call(method="POST", target=b"/", content=sent))).body == sent[::-1]


@pytest.mark.trio
async def test_an_engine_with_an_untrusted_certificate_gets_no_request(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with talking([OK], scheme="https") as (peer, client):
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.send(GET)
        assert peer.seen in ([], [[]])


@pytest.mark.trio
async def test_a_connection_whose_tls_has_ended_with_the_answer_is_not_used_again(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    connections = 0

    async def serve() -> None:
        nonlocal connections
        async with AsyncExitStack() as held:
            while True:
                # The connection below stays open.
                stream = await held.enter_async_context(await listener.accept())
                connections += 1
                tls = certified().wrap_bio(incoming := ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_side=True)
                asked = b""
                while b"\r\n\r\n" not in asked:
                    try:
                        asked += tls.read(2**16)
                    except ssl.SSLWantReadError:
                        await stream.send_all(outgoing.read())
                        incoming.write(await stream.receive_some())
                tls.write(answer_to(asked, OK))
                with suppress(ssl.SSLWantReadError):
                    tls.unwrap()
                await stream.send_all(outgoing.read())

    url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(serve)
            for _ in range(3):
                assert (await client.send(GET)).body == b"ok"
            nursery.cancel_scope.cancel()
    assert connections == 3


@pytest.mark.trio
async def test_an_engine_receives_an_alert_for_its_untrusted_certificate(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    said: list[str] = []

    async def serve() -> None:
        async with trio.SSLStream(await listener.accept(), certified(), server_side=True) as tls:
            try:
                await tls.do_handshake()
                await tls.receive_some()
            except trio.BrokenResourceError as error:
                said.append(str(error.__cause__))

    url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(serve)
            with pytest.raises(httpx.ConnectError):
                await client.send(GET)
    assert "unknown ca" in said[0].lower()


@pytest.mark.trio
@pytest.mark.parametrize("answer", [OK, b""])
async def test_an_engine_that_speaks_no_tls_is_a_connect_error(answer):
    async with talking([answer]) as (peer, _):
        async with EngineClient.open(peer.url.replace("http:", "https:")) as client:
            with pytest.raises(httpx.ConnectError):
                await client.send(GET)


@pytest.mark.trio
async def test_an_engine_that_says_nothing_while_tls_is_agreed_upon_is_given_up_in_time():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    limits = {"connect_seconds": 0.1, "keep_seconds": 1, "kept": 1}
    transport = EngineTransport("127.0.0.1", port, authority=b"localhost", tls=EngineTls(), **limits)
    request = EngineRequest(method="GET", target=Target(raw=b"/", path="/", url=""), headers=OutgoingFields([]))
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, transport:
            with pytest.raises(httpx.ConnectTimeout):
                await transport.send(request)
