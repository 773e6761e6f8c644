"""One connection to an engine, on a stream that returns scripted pieces."""

from collections.abc import Sequence
from typing import cast

import httpx
import pytest
import trio

from services.gateway.connection import EngineConnection
from services.gateway.engine_request import EngineRequest, OutgoingFields, Target
from services.gateway.tls import Terms

BODY = b"0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 10\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Pieces:
    """A stream of which each read returns the next piece, and then its end."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.socket = self

    async def receive_some(self, max_bytes: int) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.pieces.pop(0) if self.pieces else b""

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += data

    def is_readable(self) -> bool:
        return bool(self.pieces)


def connection(*pieces: bytes) -> EngineConnection:
    return EngineConnection(cast("trio.SocketStream", Pieces(pieces)), Terms())


def request(method: str = "GET") -> EngineRequest:
    target = Target(raw=b"/", path="/", url="http://engine/")
    return EngineRequest(method=method, target=target, headers=OutgoingFields([]))


async def exchange(one: EngineConnection, method: str = "GET") -> tuple[int, list[bytes]]:
    await one.send(request(method), b"engine")
    head = await one.receive_head()
    parts = []
    while (data := await one.receive_body()) is not None:
        parts.append(data)
    return head.status_code, parts


@pytest.mark.trio
@pytest.mark.parametrize("interim", [b"", INTERIM, 2 * INTERIM])
@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"\r\n", b"\n"), HEAD.replace(b"1.1", b"1.0")])
async def test_an_answer_is_the_same_wherever_it_is_cut(head: bytes, interim: bytes) -> None:
    answer = interim + head + BODY
    for cut in range(1, len(answer)):
        one = connection(answer[:cut], answer[cut:])
        status, parts = await exchange(one)
        assert (status, b"".join(parts)) == (200, BODY)
        assert one.start_next_cycle() is (b"1.0" not in head)


@pytest.mark.trio
async def test_a_body_is_handed_over_as_it_is_received() -> None:
    one = connection(HEAD + BODY[:3], BODY[3:7], BODY[7:])
    assert await exchange(one) == (200, [BODY[:3], BODY[3:7], BODY[7:]])
    one = connection(HEAD, whole := bytes(BODY))
    _, parts = await exchange(one)
    assert parts[0] is whole


@pytest.mark.trio
async def test_a_connection_serves_answers_with_and_without_a_length_in_turn() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    none = b"HTTP/1.1 204 No Content\r\n\r\n"
    empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    one = connection(HEAD + BODY, chunked, HEAD, BODY, none, empty, HEAD, HEAD + BODY)
    for method, body in (
        ("GET", BODY),
        ("POST", b"abc"),
        ("GET", BODY),
        ("GET", b""),
        ("GET", b""),
        ("HEAD", b""),
        ("GET", BODY),
    ):
        _, parts = await exchange(one, method)
        assert b"".join(parts) == body
        assert one.start_next_cycle()


@pytest.mark.trio
@pytest.mark.parametrize("length", [0, 10])
@pytest.mark.parametrize("apart", [True, False])
async def test_bytes_beyond_the_body_are_counted_and_end_the_connection(length: int, apart: bool) -> None:
    head = HEAD.replace(b": 10", b": %d" % length)
    answer = head + BODY[:length] + HEAD
    one = connection(*((head, answer[len(head) :]) if apart and length else (answer,)))
    _, parts = await exchange(one)
    assert b"".join(parts) == BODY[:length]
    assert one.excess_bytes == len(HEAD)
    assert not one.start_next_cycle()


@pytest.mark.trio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_bytes_beyond_an_answer_without_a_body_are_counted_too(method: str) -> None:
    one = connection((HEAD if method == "HEAD" else b"HTTP/1.1 204 No Content\r\n\r\n") + BODY)
    assert (await exchange(one, method))[1] == []
    assert one.excess_bytes == len(BODY)
    assert not one.start_next_cycle()


@pytest.mark.trio
async def test_a_body_that_is_not_read_to_its_end_ends_the_connection() -> None:
    one = connection(HEAD + BODY[:9], BODY[9:])
    await one.send(request(), b"engine")
    await one.receive_head()
    assert not one.start_next_cycle()
    assert await one.receive_body() == BODY[:9]
    assert one.excess_bytes == 0
    assert not one.start_next_cycle()
    assert await one.receive_body() == BODY[9:]
    assert one.start_next_cycle()


@pytest.mark.trio
@pytest.mark.parametrize("got", range(10))
async def test_a_body_that_is_cut_is_an_error(got: int) -> None:
    one = connection(HEAD, *([BODY[:got]] if got else []))
    with pytest.raises(httpx.RemoteProtocolError, match="in the middle of the answer"):
        await exchange(one)
    assert not one.start_next_cycle()


@pytest.mark.trio
@pytest.mark.parametrize(
    "field", [b"content-length: 10\r\ncontent-length: 11", b"content-length: -1", b"content-length: 1" + 20 * b"0"]
)
async def test_a_length_that_h11_does_not_take_is_an_error(field: bytes) -> None:
    one = connection(HEAD.replace(b"content-length: 10", field) + BODY)
    with pytest.raises(httpx.RemoteProtocolError, match="no HTTP"):
        await exchange(one)


@pytest.mark.trio
async def test_chunks_count_where_there_is_a_length_too() -> None:
    both = HEAD.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
    assert await exchange(connection(both + b"3\r\nabc\r\n0\r\n\r\n")) == (200, [b"abc"])


@pytest.mark.trio
@pytest.mark.parametrize("field", [b"connection: close", b"Connection: keep-alive, Close"])
async def test_an_engine_that_closes_after_its_answer_is_believed(field: bytes) -> None:
    one = connection(HEAD.replace(b"x: y", field) + BODY)
    assert (await exchange(one))[0] == 200
    assert not one.start_next_cycle()


@pytest.mark.trio
async def test_a_cancellation_loses_no_byte_of_a_body() -> None:
    one = connection(HEAD, BODY)
    await one.send(request(), b"engine")
    await one.receive_head()
    with trio.CancelScope() as scope:
        scope.cancel()
        await one.receive_body()
    assert scope.cancelled_caught
    assert await one.receive_body() == BODY
