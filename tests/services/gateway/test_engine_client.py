import pytest
import trio

from services.gateway.engine_client import Call, EngineClient, end_to_end
from tests.services.gateway.exchanges import answer_to, exchange_in
from tests.waiting import PATIENCE_SECONDS


def test_headers_of_the_hop_are_left_out_and_the_rest_keeps_its_order():
    given = [
        (b"Accept", b"a"),
        (b"Connection", b"close, X-One ,x-two"),
        (b"X-One", b"1"),
        (b"X-TWO", b"2"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"Set-Cookie", b"a"),
        (b"set-cookie", b"b"),
        (b"Host", b"x"),
    ]
    assert end_to_end(given, without=frozenset({b"host"})) == (
        (b"accept", b"a"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    )


async def serve_once(listener, answer: bytes, seen: list[bytes]) -> None:
    stream = await listener.accept()
    async with stream:
        seen.append(await stream.receive_some())
        await stream.send_all(answer_to(seen[-1], answer))


@pytest.mark.trio
async def test_the_path_of_the_engines_url_comes_first_and_httpx_adds_nothing_of_its_own():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    seen: list[bytes] = []
    async with trio.open_nursery() as nursery, EngineClient.open(f"http://127.0.0.1:{port}/engine/") as client:
        nursery.start_soon(serve_once, listener, b"HTTP/1.1 204 No Content\r\n\r\n", seen)
        reply = await client.send(Call(method="GET", target=b"/a%2Fb?c=%20", headers=((b"x-one", b"1"),)))
    await listener.aclose()
    assert reply.status == 204
    exchange = exchange_in(seen[0])
    assert len(exchange) == 32
    named = b"Host: 127.0.0.1:%d\r\nx-cqox-exchange: %s\r\n" % (port, exchange)
    assert seen == [b"GET /engine/a%2Fb?c=%20 HTTP/1.1\r\n" + named + b"x-one: 1\r\n\r\n"]


@pytest.mark.trio
async def test_a_cancelled_call_closes_its_connection_at_once():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with EngineClient.open(url) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.send, Call(method="GET", target=b"/"))
        stream = await listener.accept()
        await stream.receive_some()
        nursery.cancel_scope.cancel()
    async with stream:
        with trio.fail_after(PATIENCE_SECONDS):
            assert await stream.receive_some() == b""
    await listener.aclose()


@pytest.mark.trio
async def test_an_encoded_body_stays_encoded():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"
    async with trio.open_nursery() as nursery, EngineClient.open(url) as client:
        nursery.start_soon(serve_once, listener, answer, [])
        reply = await client.send(Call(method="GET", target=b"/"))
    await listener.aclose()
    assert (reply.body, reply.header(b"content-encoding")) == (b"abcd", "gzip")
