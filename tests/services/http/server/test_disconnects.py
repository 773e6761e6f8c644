"""Clients that leave, and bodies however they arrive, on a real connection to a gateway with a scripted engine."""

import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from services.gateway.engine_client import Reply
from services.http.server.connection_limits import ConnectionLimits
from services.http.server.direct import DirectConnection
from services.http.server.http1 import Http1Connection
from services.http.server.request_task import Connection
from tests.services.http.server.test_direct import ANALYSES, ANALYZE, BODY, Recorder, Served, problem, report
from tests.waiting import PATIENCE_SECONDS

LARGE = b'{"dataset_id": "' + b"x" * 300_000 + b'"}'
CHUNKED = b"Transfer-Encoding: chunked"


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def post(field: bytes = length(BODY), content: bytes = BODY) -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n"
    return head % (ANALYZE.encode(), field) + content


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


GET = f"GET {ANALYSES} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Slow:
    """An act of an engine that answers once it is let go, and counts the tasks meanwhile."""

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.may_end = trio.Event()
        self.tasks = 0

    async def __call__(self) -> Reply:
        self.asked.set()
        self.tasks = trio.lowlevel.current_statistics().tasks_living
        await self.may_end.wait()
        return report()


async def serve(served: Served, stream: trio.SocketStream) -> None:
    scope = {
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    place = ConnectionLimits().admit("")
    assert place is not None
    connection = Http1Connection(
        served.app, stream, scope=scope, headers=list, place=place, keep_alive_seconds=60, closing=lambda: False
    )
    async with stream:
        await connection.serve()


@asynccontextmanager
async def connected(served: Served, *, lifespan: bool = True) -> AsyncIterator[Callable[[], trio.SocketStream]]:
    """Serve connections, with or without the watch that a lifespan opens; yield what opens one."""

    def connect() -> trio.SocketStream:
        ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in pair())
        nursery.start_soon(serve, served, theirs)
        return ours

    def pair() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            return ours, listener.accept()[0]

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            if not lifespan:
                yield connect
            else:
                async with served.app.disconnects.opened():
                    yield connect
                    # The watch outlives the connections.
                    while len(nursery.child_tasks) > 0:
                        await trio.sleep(0.001)


async def answer(client: trio.SocketStream) -> bytes:
    """Receive one response with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await more(client)
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < size:
        body += await more(client)
    assert len(body) == size
    return head + b"\r\n\r\n" + body


async def more(client: trio.SocketStream) -> bytes:
    data = await client.receive_some(2**16)
    assert data
    return bytes(data)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await trio.sleep(0.001)


BODIES: dict[str, tuple[bytes, list[bytes]]] = {
    "with its head": (BODY, [post()]),
    "none": (b"", [post(b"Content-Length: 0", b"")]),
    "after its head": (BODY, [post(content=b""), BODY]),
    "byte by byte": (BODY, [post(content=b""), *(BODY[at : at + 1] for at in range(len(BODY)))]),
    "in one chunk": (BODY, [post(CHUNKED, chunked(BODY, 2**16))]),
    "in tiny chunks": (BODY, [post(CHUNKED, chunked(BODY, 1))]),
    "in chunks one by one": (BODY, [post(CHUNKED, b""), *(chunked(BODY, 5)[at : at + 3] for at in range(0, 80, 3))]),
    "larger than the buffer": (LARGE, [post(length(LARGE), LARGE)]),
    "larger than the buffer in chunks": (LARGE, [post(CHUNKED, chunked(LARGE, 10_000))]),
    "as large as the buffer": (LARGE[: 2**16], [post(length(LARGE[: 2**16]), LARGE[: 2**16])]),
}


@pytest.mark.trio
@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize("way", [Connection, DirectConnection])
@pytest.mark.parametrize("case", BODIES)
async def test_a_body_reaches_the_engine_however_it_arrives(way: type[Connection], case: str, lifespan: bool) -> None:
    body, pieces = BODIES[case]
    served = Served(way, report(), report())
    async with connected(served, lifespan=lifespan) as connect:
        async with connect() as client:
            for _ in range(2):
                for piece in pieces:
                    await client.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked()
                assert (await answer(client)).startswith(b"HTTP/1.1 200")
    assert [call.content for _, call, _ in served.engine.calls] == [body, body]


@pytest.mark.trio
@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_requests_that_are_sent_at_once_are_answered_in_order(way: type[Connection], lifespan: bool) -> None:
    unknown = problem(404, "not-found")
    served = Served(way, unknown, report(), unknown)
    async with connected(served, lifespan=lifespan) as connect, connect() as client:
        await client.send_all(GET + post() + GET)
        data = b""
        while data.count(b"HTTP/1.1 ") < 3 or not data.endswith(b"}"):
            data += await more(client)
    assert [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]] == [b"404", b"200", b"404"]


SENT = {
    "a body": [post()],
    "no body": [GET],
    "a body in chunks": [post(CHUNKED, chunked(BODY, 3))],
    "a body after its head": [post(content=b""), BODY],
    "a further request": [post(), GET],
    "a further request at once": [post() + GET],
}


@pytest.mark.trio
@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize("way", [Connection, DirectConnection])
@pytest.mark.parametrize("wait", [0.0, 0.06])
@pytest.mark.parametrize("case", SENT)
async def test_a_client_that_leaves_cancels_the_call_of_the_engine(
    case: str, wait: float, way: type[Connection], lifespan: bool
) -> None:
    served = Served(way, slow := Slow())
    served.app.recorder = recorder = Recorder(None)
    async with connected(served, lifespan=lifespan) as connect:
        client = connect()
        for piece in SENT[case]:
            await client.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        await slow.asked.wait()
        await trio.sleep(wait)
        # A reset, as of a process that has ended: one that only shuts down its side may still read.
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await client.aclose()
        await until(lambda: served.engine.cancelled)
    assert (served.engine.cancelled, len(served.app.in_flight)) == (1, 0)
    assert [entry[-1] for entry in recorder.kept] == ["interrupted"]


@pytest.mark.trio
@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_a_client_that_leaves_in_the_middle_of_a_body_asks_no_engine(
    way: type[Connection], lifespan: bool
) -> None:
    served = Served(way, report())
    async with connected(served, lifespan=lifespan) as connect:
        client = connect()
        await client.send_all(post(content=BODY[:5]))
        await until(lambda: len(served.app.in_flight))
        await client.aclose()
        await until(lambda: not len(served.app.in_flight))
    assert served.engine.calls == []


@pytest.mark.trio
async def test_a_client_that_has_only_ended_its_side_gets_its_response() -> None:
    served = Served(DirectConnection, slow := Slow())
    async with connected(served) as connect, connect() as client:
        await client.send_all(post())
        await slow.asked.wait()
        await client.send_eof()
        await trio.sleep(0.01)
        slow.may_end.set()
        data = b""
        while not data.endswith(b"}"):
            data += await more(client)
    assert b"HTTP/1.1 200" in data


@pytest.mark.trio
@pytest.mark.parametrize("way", [Connection, DirectConnection])
async def test_a_request_that_is_watched_takes_no_task_of_its_own(way: type[Connection]) -> None:
    tasks = []
    for lifespan in (True, False):
        served = Served(way, slow := Slow())
        slow.may_end.set()
        async with connected(served, lifespan=lifespan) as connect, connect() as client:
            before = trio.lowlevel.current_statistics().tasks_living
            await client.send_all(post())
            await answer(client)
        tasks.append(slow.tasks - before)
    assert tasks == [0, 1]


@pytest.mark.trio
async def test_the_end_of_a_drain_is_answered_to_a_client_that_is_watched() -> None:
    served = Served(DirectConnection, slow := Slow())
    async with connected(served) as connect, connect() as client:
        await client.send_all(post())
        await slow.asked.wait()
        served.app.lifecycle.draining.set()
        served.app.in_flight.cut_all()
        assert (await answer(client)).startswith(b"HTTP/1.1 503")


@pytest.mark.trio
@pytest.mark.parametrize("lifespan", [True, False])
async def test_a_failure_to_receive_ends_its_own_request_and_no_other(
    lifespan: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, other = Slow(), Slow()
    served = Served(DirectConnection, failing, other)
    broken: list[Http1Connection] = []
    watch = Http1Connection._watch

    async def breaking(self: Http1Connection) -> None:
        if not broken:
            broken.append(self)
        if broken[0] is not self:
            return await watch(self)
        # As a watch that meets a defect once something arrives.
        await self._client.read()
        raise ZeroDivisionError("x")

    monkeypatch.setattr(Http1Connection, "_watch", breaking)
    with capture_logs() as said:
        async with connected(served, lifespan=lifespan) as connect, connect() as first, connect() as second:
            await first.send_all(post())
            await failing.asked.wait()
            await first.send_all(GET)
            assert (await answer(first)).startswith(b"HTTP/1.1 500")
            await second.send_all(post())
            await other.asked.wait()
            other.may_end.set()
            assert (await answer(second)).startswith(b"HTTP/1.1 200")
    assert served.engine.cancelled == 1
    assert [line["event"] for line in said if line["log_level"] == "error"] == ["the application failed"]


@pytest.mark.trio
async def test_without_epoll_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    served = Served(DirectConnection, report())
    async with connected(served) as connect, connect() as client:
        assert served.app.disconnects.watch(client.socket.fileno(), trio.sleep_forever, trio.CancelScope()) is None
        await client.send_all(post())
        assert (await answer(client)).startswith(b"HTTP/1.1 200")
