"""Engines that share a name, on different addresses of the loopback network."""

import socket
import ssl
from collections.abc import AsyncIterator

import h11
import pytest
import trio
from structlog.testing import capture_logs

from cqox.certificates import Credentials
from cqox.resilience import registry
from services.gateway.engine_client import Call, Reply, Streamed
from services.gateway.failures import EngineStalled
from services.gateway.replicas import Replicas
from services.gateway.tls import EngineTls
from services.http.request.propagation import Received
from tests.servers.certificates import authority_in
from tests.waiting import until

ANALYZE = Call(method="POST", target=b"/api/analyze/comprehensive", content=b"{}")
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"


class Names:
    """A resolver whose results the test changes."""

    def __init__(self, *there: str) -> None:
        self.there: set[str] | None = set(there)

    async def __call__(self, host: str, port: int) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        if self.there is None:
            raise OSError(f"nobody knows {host}")
        return frozenset(self.there) if len(self.there) > 1 else frozenset()


class Engine:
    """An engine that answers with its own address, on the shared port."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self._tls = tls
        self.asked: list[str] = []
        self.silent = False
        self._port = port

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(self._port, host=self.address)
            nursery.start_soon(trio.serve_listeners, self._talk, listeners)
            task_status.started()

    async def _talk(self, accepted: trio.SocketStream) -> None:
        stream: trio.abc.Stream = accepted
        if self._tls is not None:
            stream = trio.SSLStream(accepted, self._tls, server_side=True, https_compatible=True)
        async with stream:
            connection = h11.Connection(h11.SERVER)
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    data = await stream.receive_some()
                    connection.receive_data(data)
                elif isinstance(event, h11.Request):
                    self.asked.append(event.target.decode())
                    fields = dict(event.headers)
                    assert fields[b"host"].startswith(b"engines.test:")
                    if self.silent:
                        await trio.sleep_forever()
                    received = Received()
                elif isinstance(event, h11.Data):
                    received.take(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    body = self.address.encode()
                    named = [(b"x-cqox-exchange", fields[b"x-cqox-exchange"]), (b"x-cqox-received", str(received))]
                    head = h11.Response(status_code=200, headers=[("content-length", str(len(body))), *named])
                    for part in (head, h11.Data(body), h11.EndOfMessage()):
                        await stream.send_all(connection.send(part) or b"")
                    connection.start_next_cycle()
                elif isinstance(event, h11.ConnectionClosed):
                    return


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answers(replicas: Replicas, times: int) -> list[str]:
    return [(await replicas.send(ANALYZE, [])).body.decode() for _ in range(times)]


@pytest.mark.trio
async def test_a_name_of_several_addresses_is_as_many_engines_that_take_turns(port):
    engines = [Engine(address, port) for address in (FIRST, SECOND, THIRD)]
    names = Names(FIRST, SECOND, THIRD)
    async with trio.open_nursery() as nursery:
        for engine in engines:
            await nursery.start(engine.serve)
        async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
            assert {replica.url for replica in replicas.all()} == {
                f"http://engines.test:{port} ({engine.address})" for engine in engines
            }
            assert sorted(await answers(replicas, 6)) == sorted([FIRST, SECOND, THIRD] * 2)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_engines_with_https_that_are_verified_by_identity_share_a_name_as_well(port, tmp_path):
    authority_in(tmp_path, "gateway", "engine")
    mutual = Credentials(tmp_path / "engine").current().mutual
    tls = EngineTls(Credentials(tmp_path / "gateway"), "spiffe://cqox/engine")
    names = Names(FIRST, SECOND)
    async with trio.open_nursery() as nursery:
        for address in (FIRST, SECOND):
            await nursery.start(Engine(address, port, mutual).serve)
        async with Replicas.open([f"https://engines.test:{port}"], resolve=names, tls=tls) as replicas:
            assert sorted(await answers(replicas, 6)) == sorted([FIRST, SECOND] * 3)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_one_of_them_that_stalls_costs_the_others_nothing(port):
    well, stalled, names = Engine(FIRST, port), Engine(SECOND, port), Names(FIRST, SECOND)
    stalled.silent = True
    async with trio.open_nursery() as nursery:
        for engine in (well, stalled):
            await nursery.start(engine.serve)
        async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
            nursery.start_soon(replicas.send, ANALYZE, [])
            await until(lambda: len(well.asked) + len(stalled.asked) == 1)
            nursery.start_soon(replicas.send, ANALYZE, [])
            await until(lambda: len(stalled.asked) >= 1 and len(well.asked) >= 1)
            # The one that has a request in flight is not the one with the fewest.
            assert await answers(replicas, 5) == [FIRST] * 5
            nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_engines_come_and_go_with_their_addresses(port, monkeypatch):
    monkeypatch.setattr("services.gateway.replicas._ASK_NAMES_SECONDS", 0.05)
    first, second, third = (Engine(address, port) for address in (FIRST, SECOND, THIRD))
    names = Names(FIRST, SECOND)
    async with trio.open_nursery() as nursery:
        for engine in (first, second, third):
            await nursery.start(engine.serve)
        async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
            assert set(await answers(replicas, 4)) == {FIRST, SECOND}
            kept = next(replica for replica in replicas.all() if FIRST in replica.url)
            names.there = {FIRST, THIRD}
            await until(lambda: any(THIRD in replica.url for replica in replicas.all()))
            assert set(await answers(replicas, 4)) == {FIRST, THIRD}
            assert kept in replicas.all()
            names.there = None
            await trio.sleep(0.2)
            assert set(await answers(replicas, 4)) == {FIRST, THIRD}
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_an_engine_whose_address_is_gone_ends_what_it_has(port, monkeypatch):
    monkeypatch.setattr("services.gateway.replicas._ASK_NAMES_SECONDS", 0.05)
    monkeypatch.setattr("services.gateway.replicas._LEAVES_AFTER_SECONDS", 0.0)
    first, second, names = Engine(FIRST, port), Engine(SECOND, port), Names(FIRST, SECOND)
    slow, got = trio.Event(), list[bytes]()

    async with trio.open_nursery() as nursery:
        for engine in (first, second):
            await nursery.start(engine.serve)
        async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
            leaving = next(replica for replica in replicas.all() if FIRST in replica.url)
            real = leaving._client.send

            async def slowly(call: Call) -> object:
                await slow.wait()
                return await real(call)

            leaving._client.send = slowly

            async def ask() -> None:
                got.append((await leaving.send(ANALYZE)).body)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            names.there = {SECOND, THIRD}
            await until(lambda: leaving not in replicas.all())
            slow.set()
            await until(lambda: got == [FIRST.encode()])
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_stream_of_an_engine_whose_address_is_gone_ends_when_it_stalls(port, autojump_clock):
    stalled, names = trio.Event(), Names(FIRST, SECOND)

    async def ticking() -> AsyncIterator[bytes]:
        while not stalled.is_set():
            await trio.sleep(1)
            yield b"tick"
        await trio.sleep_forever()

    class Client:
        async def send(self, call: Call) -> Reply:
            if stalled.is_set():
                await trio.sleep_forever()
            return Reply(status=200, headers=(), body=b"")

        async def begin(self, call: Call) -> Streamed:
            chunks = ticking()
            return Streamed(status=200, headers=(), chunks=chunks, close=chunks.aclose)

    async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
        leaving = next(replica for replica in replicas.all() if FIRST in replica.url)
        leaving._client = Client()
        streamed = await leaving.begin(Call(method="GET", target=b"/api/jobs/1/events"))
        names.there = {SECOND, THIRD}
        for _ in range(200):
            assert await anext(streamed.chunks) == b"tick"
            # Handed on to the client, while nobody waits for the next one.
            await trio.sleep(0.1)
        assert leaving not in replicas.all()
        stalled.set()
        with trio.fail_after(30), pytest.raises(EngineStalled):
            b"".join([data async for data in streamed.chunks])
        await streamed.close()


@pytest.mark.trio
async def test_an_engine_whose_address_comes_back_is_the_one_that_it_was(port, autojump_clock):
    names = Names(FIRST, SECOND)
    url = f"http://engines.test:{port}"

    def known() -> list[str]:
        return [key for key in registry if f"{url} ({FIRST})" in key]

    async with Replicas.open([url], resolve=names) as replicas:
        first = next(replica for replica in replicas.all() if FIRST in replica.url)
        for _ in range(5):
            for there in ({SECOND, THIRD}, {FIRST, SECOND}):
                names.there = there
                await trio.sleep(20)
                assert (first in replicas.all()) == (FIRST in there)
                assert len(replicas.all()) == 2
                assert known() == [f"engine {url} ({FIRST})"]
        # It has not been taken for gone by the time that it was away for.
        await trio.sleep(200)
        assert first in replicas.all()


@pytest.mark.trio
async def test_an_engine_that_still_has_a_stream_is_taken_back_however_long_it_was_away(port, autojump_clock):
    names = Names(FIRST, SECOND)
    async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
        first = next(replica for replica in replicas.all() if FIRST in replica.url)
        with first._counted():
            names.there = {SECOND, THIRD}
            await trio.sleep(1000)
            assert first not in replicas.all()
            names.there = {FIRST, SECOND}
            await trio.sleep(10)
            assert first in replicas.all()
        names.there = {SECOND, THIRD}
        await trio.sleep(100)
        names.there = {FIRST, SECOND}
        await trio.sleep(10)
        assert first not in replicas.all()
        assert len(replicas.all()) == 2


@pytest.mark.trio
@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), UnicodeError("label too long")])
async def test_engines_stay_after_any_exception_of_the_resolver(port, autojump_clock, error):
    names, broken = Names(FIRST, SECOND), False

    async def resolve(host: str, port: int) -> frozenset[str]:
        if broken:
            raise error
        return await names(host, port)

    with capture_logs() as said:
        async with Replicas.open([f"http://engines.test:{port}"], resolve=resolve) as replicas:
            before = replicas.all()
            said.clear()
            broken = True
            await trio.sleep(100)
            assert replicas.all() == before
            assert len(said) == 1
            broken, names.there = False, {FIRST, SECOND, THIRD}
            await trio.sleep(10)
            assert len(replicas.all()) == 3


@pytest.mark.trio
async def test_an_unresolvable_name_is_one_engine_until_it_resolves_to_several(port, monkeypatch):
    monkeypatch.setattr("services.gateway.replicas._ASK_NAMES_SECONDS", 0.05)
    names = Names()
    names.there = None
    async with Replicas.open([f"http://engines.test:{port}"], resolve=names) as replicas:
        assert [replica.url for replica in replicas.all()] == [f"http://engines.test:{port}"]
        names.there = {FIRST, SECOND}
        await until(lambda: len(replicas.all()) == 2)


@pytest.mark.trio
async def test_a_resolver_that_never_answers_keeps_no_gateway_from_starting(port):
    async def never(host: str, port: int) -> frozenset[str]:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    async with Replicas.open([f"http://engines.test:{port}"], resolve=never) as replicas:
        assert len(replicas.all()) == 1
    assert trio.current_time() - began < 5
