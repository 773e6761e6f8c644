"""Foreign answers: responses that belong to another request; plain and over TLS, on real sockets."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from services.gateway.engine_client import Call, EngineClient, Reply
from services.gateway.foreign_answers import ForeignAnswer
from services.http.request.digests import content_digest
from services.http.response.checksums import BodyChecksum, with_checks
from tests.services.gateway.exchanges import answer_to, exchange_in
from tests.waiting import PATIENCE_SECONDS

LOCALHOST = Path(__file__).parent / "localhost.pem"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = Call(method="GET", target=b"/")
POST = Call(method="POST", target=b"/", content=b"{}")

type Talk = Callable[[trio.abc.Stream, int], Awaitable[None]]
"""Behaviour of an engine on a connection, given the number of the connection."""


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))
    return str(request.param)


@asynccontextmanager
async def engine(talk: Talk, scheme: str = "http") -> AsyncIterator[EngineClient]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(LOCALHOST)
    count = 0

    async def serve(accepted: trio.SocketStream) -> None:
        nonlocal count
        count += 1
        stream: trio.abc.Stream = accepted
        if scheme == "https":
            stream = trio.SSLStream(accepted, context, server_side=True, https_compatible=True)
        try:
            async with stream:
                await talk(stream, count)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass

    url = f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery, EngineClient.open(url) as client:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield client
            nursery.cancel_scope.cancel()


def answering(*answers: Callable[[bytes], bytes]) -> Talk:
    """Answer the first connection with these bytes, each later one correctly."""

    async def talk(stream: trio.abc.Stream, number: int) -> None:
        for answer in answers if number == 1 else [lambda request: answer_to(request, OK)] * 100:
            request = await stream.receive_some()
            if not request:
                return
            await stream.send_all(answer(request))
        await stream.receive_some()

    return talk


def named(exchange: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\nx-cqox-exchange: " + exchange + b"\r\n\r\nok"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda request: OK, "its answer with the status 200 does not identify the request"),
        (lambda request: named(b"0" * 32), "its answer with the status 200 belongs to another request"),
        (lambda request: named(b"0" * 32, b"503 No"), "its answer with the status 503 belongs to another request"),
        (lambda request: named(b"", b"404 No"), "its answer with the status 404 belongs to another request"),
        (lambda request: OK.replace(b"200", b"429"), "its answer with the status 429 does not identify the request"),
        (
            lambda request: named(exchange_in(request) + b"\r\nx-cqox-exchange: " + exchange_in(request)),
            "belongs to another request",
        ),
        (
            lambda request: answer_to(request, OK).replace(b"\r\n\r\nok", b"\r\n\r\nno"),
            "does not match its Content-Digest",
        ),
    ],
)
async def test_what_is_not_the_answer_closes_the_connection_and_is_on_the_log(answer, words, scheme):
    async with engine(answering(answer), scheme) as client:
        with capture_logs() as said, pytest.raises(ForeignAnswer, match=words):
            await client.send(GET)
        assert said[0]["event"].endswith("; the connection is closed")
        assert words in said[0]["event"]
        assert b"ok" not in said[0]["event"].encode()
        # The next one is made on another connection.
        assert (await client.send(GET)).body == b"ok"


@pytest.mark.trio
async def test_a_failure_that_does_not_say_whose_it_is_is_known_by_its_status_alone():
    failure = b"HTTP/1.1 503 No\r\nretry-after: 7\r\nx-request-id: other\r\ncontent-length: 6\r\n\r\nsecret"
    async with engine(answering(lambda request: failure)) as client:
        reply = await client.send(GET)
        assert (reply.status, reply.headers, reply.body) == (503, ((b"retry-after", b"7"),), b"")
        assert (await client.send(GET)).status == 200


@pytest.mark.trio
async def test_each_attempt_has_its_own_exchange_id_independent_of_the_client():
    seen = list[bytes]()

    def note(request: bytes) -> bytes:
        seen.append(exchange_in(request))
        assert request.lower().count(b"x-cqox-exchange") == 1
        return answer_to(request, OK)

    call = Call(method="GET", target=b"/", headers=((b"x-cqox-exchange", b"0" * 32), (b"x-request-id", b"mine")))
    async with engine(answering(*[note] * 20)) as client:
        for _ in range(20):
            reply = await client.send(call)
            assert all(name != b"x-cqox-exchange" for name, _ in reply.headers)
    assert len(set(seen)) == 20
    assert b"0" * 32 not in seen


@pytest.mark.trio
async def test_an_answer_that_comes_late_is_not_that_to_the_next_request(scheme):
    held = list[bytes]()

    async def talk(stream: trio.abc.Stream, number: int) -> None:
        while request := await stream.receive_some():
            held.append(request)
            # To the one before, on the same connection; the first is answered twice.
            await stream.send_all(answer_to(held[-2] if number == 1 and len(held) == 2 else request, OK))

    async with engine(talk, scheme) as client:
        assert (await client.send(GET)).body == b"ok"
        with pytest.raises(ForeignAnswer, match="to another request"):
            await client.send(GET)
        assert (await client.send(GET)).body == b"ok"


@pytest.mark.trio
async def test_an_answer_that_was_there_before_the_request_is_none(scheme):
    async def talk(stream: trio.abc.Stream, number: int) -> None:
        if number == 1:
            await stream.send_all(OK)
        while request := await stream.receive_some():
            await stream.send_all(answer_to(request, OK))

    async with engine(talk, scheme) as client:
        with pytest.raises(ForeignAnswer):
            await client.send(GET)
        assert (await client.send(GET)).body == b"ok"


@pytest.mark.trio
async def test_what_came_while_a_connection_was_idle_closes_it(scheme):
    async def talk(stream: trio.abc.Stream, number: int) -> None:
        request = await stream.receive_some()
        await stream.send_all(answer_to(request, OK))
        await trio.sleep(0.02)
        await stream.send_all(answer_to(request, OK))
        assert not await stream.receive_some()

    async with engine(talk, scheme) as client:
        for _ in range(3):
            assert (await client.send(GET)).body == b"ok"
            await trio.sleep(0.1)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("received", "words"),
    [(b"", "200 to a body that differs"), (b"x-cqox-received: 3-00000000\r\n", "200 to a body that differs")],
)
async def test_an_answer_to_another_body_is_none(received, words):
    def answer(request: bytes) -> bytes:
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + received
        return head + b"x-cqox-exchange: " + exchange_in(request) + b"\r\n\r\n"

    async with engine(answering(answer)) as client:
        with pytest.raises(ForeignAnswer, match=words):
            await client.send(POST)
        assert (await client.send(POST)).status == 200


async def upload(client: EngineClient, pieces: int, pause: float) -> Reply:
    async def content() -> AsyncGenerator[bytes]:
        for _ in range(pieces):
            yield bytes(1000)
            await trio.sleep(pause)

    async with aclosing(content()) as chunks:
        return await client.send(Call(method="POST", target=b"/", content=chunks))


@pytest.mark.trio
async def test_a_refusal_in_the_middle_of_an_upload_is_heard_at_once(scheme):
    def refuse(request: bytes) -> bytes:
        return named(exchange_in(request), b"413 Much")

    async with engine(answering(refuse), scheme) as client:
        reply = await upload(client, 1000, 0.05)
        assert reply.status == 413
        assert (await client.send(GET)).body == b"ok"


@pytest.mark.trio
async def test_nothing_is_said_yes_to_before_it_was_sent(scheme):
    async with engine(answering(lambda request: named(exchange_in(request), b"201 Made")), scheme) as client:
        with pytest.raises(ForeignAnswer, match="201 before the whole request had been sent"):
            await upload(client, 1000, 0.05)


@pytest.mark.trio
async def test_interim_answers_do_not_end_an_upload():
    async def talk(stream: trio.abc.Stream, number: int) -> None:
        request = await stream.receive_some()
        while b"\r\n0\r\n\r\n" not in request:
            await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            request += await stream.receive_some()
        head, _, rest = request.partition(b"\r\n\r\n")
        body = b"".join(rest.split(b"\r\n")[1::2])
        await stream.send_all(answer_to(b"content-length: %d\r\n%s\r\n\r\n%s" % (len(body), head, body), OK))

    async with engine(talk) as client:
        assert (await upload(client, 5, 0.02)).body == b"ok"


@pytest.mark.parametrize(
    ("spoiled", "passed"),
    [
        (lambda pieces: pieces, b"data: 1\n\ndata: 2\n\n"),
        (lambda pieces: [pieces[0], pieces[2]], b"data: 1\n\n"),
        (lambda pieces: pieces[:2], b"data: 1\n\ndata: 2\n\n"),
        (lambda pieces: [pieces[0], pieces[0], *pieces[1:]], b"data: 1\n\n"),
    ],
    ids=["as sent", "one missing", "no end", "one twice"],
)
@pytest.mark.trio
async def test_no_event_passes_that_is_not_the_next_one_of_the_exchange(spoiled, passed, scheme):
    async def talk(stream: trio.abc.Stream, _: int) -> None:
        exchange = exchange_in(await stream.receive_some())

        async def events() -> AsyncGenerator[bytes]:
            for number in (1, 2):
                yield b"data: %d\n\n" % number

        pieces = [piece async for piece in with_checks(events(), exchange.decode())]
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-cqox-checksum: each-event\r\n"
        chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in spoiled(pieces)]
        await stream.send_all(head + b"x-cqox-exchange: " + exchange + b"\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n")

    async with engine(talk, scheme) as client:
        streamed = await client.begin(GET)
        assert all(name != b"x-cqox-checksum" for name, _ in streamed.headers)
        received = b""
        try:
            async for data in streamed.chunks:
                received += data
            assert spoiled([1, 2, 3]) == [1, 2, 3]
        except ForeignAnswer:
            assert spoiled([1, 2, 3]) != [1, 2, 3]
        finally:
            await streamed.close()
        assert received == passed


@pytest.mark.parametrize("spoiled", ["nothing", "the body", "the digest", "the checksum"])
@pytest.mark.trio
async def test_the_checksum_is_of_the_exchange_the_digest_and_the_body(spoiled, scheme):
    async def talk(stream: trio.abc.Stream, _: int) -> None:
        exchange = exchange_in(await stream.receive_some())
        digest = content_digest(b"ok")
        checksum = BodyChecksum("0" * 32 if spoiled == "the checksum" else exchange.decode(), digest)
        checksum.take(b"ok")
        head = f"content-digest: {content_digest(b'no') if spoiled == 'the digest' else digest}\r\n"
        head += f"x-cqox-checksum: {checksum}\r\ncontent-length: 2\r\n"
        body = b"no" if spoiled == "the body" else b"ok"
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\nx-cqox-exchange: " + exchange + b"\r\n" + head.encode() + b"\r\n" + body
        )

    async with engine(talk, scheme) as client:
        if spoiled == "nothing":
            reply = await client.send(GET)
            assert reply.body == b"ok"
            assert {name for name, _ in reply.headers} == {b"content-digest", b"content-length"}
            return
        with pytest.raises(ForeignAnswer, match="does not match its checksum"):
            await client.send(GET)
