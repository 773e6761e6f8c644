"""What goes over the wire to an engine, against a peer that plays a script on real sockets."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest
import trio

from services.gateway.engine_client import Call, EngineClient

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: user=one\r\n\r\nok"
GET = Call(method="GET", target=b"/")


class Peer:
    """Answers the requests of each connection in turn; an empty answer closes it."""

    def __init__(self, listener: trio.SocketListener, scripts: Sequence[Sequence[bytes]]) -> None:
        self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        self.seen: list[list[bytes]] = []
        self._listener = listener
        self._scripts = scripts

    async def serve(self) -> None:
        for script in self._scripts:
            stream = await self._listener.accept()
            self.seen.append([])
            async with stream:
                for answer in script:
                    self.seen[-1].append(await stream.receive_some())
                    if answer:
                        await stream.send_all(answer)


@asynccontextmanager
async def talking(*scripts: Sequence[bytes]) -> AsyncIterator[tuple[Peer, EngineClient]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listener, scripts)
    with trio.fail_after(5):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(peer.url) as client:
            nursery.start_soon(peer.serve)
            yield peer, client
            nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_connection_is_kept_and_no_cookie_is():
    async with talking([OK, OK, OK]) as (peer, client):
        for _ in range(3):
            assert (await client.send(GET)).body == b"ok"
        assert len(peer.seen) == 1
        assert not any(b"cookie" in request.lower() for request in peer.seen[0])


@pytest.mark.trio
async def test_a_connection_that_the_engine_has_closed_is_not_used_again():
    async with talking([OK], [OK]) as (peer, client):
        await client.send(GET)
        await trio.sleep(0.05)
        assert (await client.send(GET)).status == 200
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_an_engine_that_will_close_its_connection_is_believed():
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with talking([closing], [OK]) as (peer, client):
        await client.send(GET)
        await client.send(GET)
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_a_stream_that_is_left_early_gives_its_connection_up():
    async with talking([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour"], [OK]) as (peer, client):
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
async def test_an_answer_that_is_cut_or_broken_is_an_error_of_the_transport(answer):
    async with talking([answer]) as (_, client):
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
        await stream.receive_some()
        await stream.send_all(refusal)
        await stream.send_eof()
        # An engine lingers, so that its answer is not lost with a reset; then it has had enough.
        with trio.move_on_after(0.2):
            while await stream.receive_some(2**20):
                pass
        await stream.aclose()

    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(5):
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
