from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from cqox.telemetry import metric_definitions
from services.gateway.engine_client import Call, EngineClient, end_to_end
from tests.measured import Measured
from tests.recorded import Kept
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
@pytest.mark.parametrize("target", [b'/a"b?c=<d>&e={f}', b"/a%22b?c=d", b"//a/b?", b"/a^`|\\%zz"])
async def test_what_is_signed_is_the_target_that_an_engine_reads(target: bytes):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/engine"
    seen: list[bytes] = []
    async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
        nursery.start_soon(serve_once, listener, b"HTTP/1.1 204 No Content\r\n\r\n", seen)
        call = Call(method="GET", target=target, hop=lambda method, signed: ((b"x-signed", signed),))
        assert (await client.send(call)).status == 204
    line, *fields, _, _ = seen[0].split(b"\r\n")
    assert [value for name, _, value in (each.partition(b": ") for each in fields) if name == b"x-signed"] == [
        line.split(b" ")[1].removeprefix(b"/engine")
    ]


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


async def serve_stream(listener, pieces: list[bytes]) -> None:
    stream = await listener.accept()
    async with stream:
        request = await stream.receive_some()
        await stream.send_all(answer_to(request, pieces[0]))
        for piece in pieces[1:]:
            await stream.send_all(piece)
        # Until the client has closed it.
        await stream.receive_some()


@asynccontextmanager
async def streaming(*pieces: bytes) -> AsyncIterator[EngineClient]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(serve_stream, listener, list(pieces))
            yield client
            nursery.cancel_scope.cancel()


BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


@pytest.mark.trio
async def test_the_span_and_the_measure_last_until_the_body_is_read(kept: Kept, measured: Measured):
    async with streaming(BEGUN, b"123456789") as client:
        streamed = await client.begin(Call(method="GET", target=b"/a?b=secret", headers=((b"x-retry-attempt", b"1"),)))
        assert (kept.spans, measured.values) == ((), [])
        assert (await streamed.read_all()).body == b"123456789"
    (labels,) = measured.of(metric_definitions.HTTP_CLIENT_DURATION)
    assert (labels["server.address"], labels["http.response.status_code"]) == ("127.0.0.1", 200)
    sent = kept.named("GET")
    assert sent.attributes["http.response.status_code"] == 200
    assert sent.attributes["url.full"] == f"http://127.0.0.1:{labels['server.port']}/a"
    assert sent.status.is_ok or sent.status.status_code.name == "UNSET"


@pytest.mark.trio
async def test_the_span_ends_where_the_body_is_given_up(kept: Kept):
    async with streaming(BEGUN, b"1234") as client:
        streamed = await client.begin(Call(method="GET", target=b"/"))
        assert await anext(streamed.chunks) == b"1234"
        assert kept.spans == ()
        await streamed.close()
        assert kept.named("GET").attributes["http.response.status_code"] == 200


@pytest.mark.trio
async def test_a_body_that_breaks_off_is_an_error_of_the_span(kept: Kept, measured: Measured):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
        nursery.start_soon(serve_once, listener, BEGUN, [])
        with pytest.raises(httpx.RemoteProtocolError):
            await client.send(Call(method="GET", target=b"/"))
    assert kept.named("GET").attributes["error.type"] == "RemoteProtocolError"
    assert [one["error.type"] for one in measured.of(metric_definitions.HTTP_CLIENT_DURATION)] == [
        "RemoteProtocolError"
    ]


def assert_cut_off(kept: Kept) -> None:
    hung = kept.named("GET")
    assert hung.attributes["cqox.cancelled"] is True
    assert not hung.events
    assert not hung.status.is_ok
    assert hung.attributes["error.type"] == "Cancelled"


@pytest.mark.trio
async def test_a_call_that_is_cancelled_before_its_answer_is_an_error_without_an_exception(kept: Kept):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with listener, trio.open_nursery() as nursery, EngineClient.open(url) as client:
        nursery.start_soon(client.send, Call(method="GET", target=b"/"))
        async with await listener.accept() as stream:
            await stream.receive_some()
            nursery.cancel_scope.cancel()
    assert_cut_off(kept)


@pytest.mark.trio
async def test_a_call_that_is_cancelled_in_its_answer_is_an_error_without_an_exception(kept: Kept):
    async with streaming(BEGUN, b"1234") as client:
        streamed = await client.begin(Call(method="GET", target=b"/"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await streamed.read_all()
    assert scope.cancelled_caught
    assert_cut_off(kept)


@pytest.mark.trio
async def test_an_engine_that_cannot_be_reached_is_recorded(kept: Kept):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    async with EngineClient.open(url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.send(Call(method="GET", target=b"/"))
    assert kept.named("GET").attributes["error.type"] == "ConnectError"
    assert [event.name for event in kept.named("GET").events] == ["exception"]


@pytest.mark.trio
async def test_probes_leave_no_span_and_no_measure(kept: Kept, measured: Measured):
    async with streaming(BEGUN, b"123456789") as client:
        assert (await client.send(Call(method="GET", target=b"/health/live"))).status == 200
    assert kept.spans == ()
    assert measured.values == []
