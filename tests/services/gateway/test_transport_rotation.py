"""Connections of the transport whose certificates are renewed or refused, on real sockets."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from cqox.certificates import Credentials
from cqox.certificates.authority import Authority
from services.gateway.engine_client import Call, EngineClient
from services.gateway.tls import EngineTls
from services.http.server.tls import HandshakeFailed, ServerTls
from tests.servers.certificates import authority_in, expired
from tests.services.gateway.scripted_peer import GET, OK, Peer
from tests.waiting import PATIENCE_SECONDS


@asynccontextmanager
async def mutual(authority: Authority, *scripts: Sequence[bytes]) -> AsyncIterator[tuple[Peer, EngineClient]]:
    """As `talking`, with the certificates of `engine` and `gateway`, which both sides read again."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listener, scripts, scheme="https")
    peer._tls = Credentials(authority.folder / "engine").current().mutual
    tls = EngineTls(Credentials(authority.folder / "gateway"), "spiffe://cqox/engine")
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(peer.url, tls=tls) as client:
            nursery.start_soon(peer.serve)
            yield peer, client
            nursery.cancel_scope.cancel()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setattr("cqox.certificates.credentials._LOOK_SECONDS", 0.0)
    return authority_in(tmp_path / "tls", "gateway", "engine")


@pytest.mark.trio
async def test_after_a_rotation_idle_connections_are_closed_and_the_next_request_opens_one(authority):
    async with mutual(authority, [OK, OK], [OK, OK]) as (peer, client):
        for _ in range(2):
            await client.send(GET)
        authority.renew("gateway")
        for _ in range(2):
            assert (await client.send(GET)).body == b"ok"
        assert [len(requests) for requests in peer.seen] == [2, 2]


@pytest.mark.trio
async def test_a_rotation_during_every_request_of_a_full_pool_loses_none(authority):
    # All connections are outdated when the first comes back: the pool must not look for one that may stay.
    async with mutual(authority, [OK], [OK]) as (peer, client):
        first = await client.begin(GET)
        authority.renew("gateway")
        assert (await first.read_all()).body == b"ok"
        assert (await client.send(GET)).body == b"ok"
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_a_connection_ends_with_half_of_the_life_of_the_certificate(authority, monkeypatch):
    async with mutual(authority, [OK], [OK]) as (peer, client):
        await client.send(GET)
        later = time.monotonic() + 12 * 3600 + 1
        monkeypatch.setattr("cqox.clock.monotonic", lambda: later)
        await client.send(GET)
        assert len(peer.seen) == 2


@pytest.mark.trio
async def test_an_engine_that_refuses_the_certificate_was_not_asked(authority):
    # With TLS 1.3 the alert comes after the handshake of the client, in the place of the answer.
    expired(authority, "gateway")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = ServerTls(Credentials(authority.folder / "engine"), frozenset({"spiffe://cqox/gateway"}))
    tls = EngineTls(Credentials(authority.folder / "gateway"), "spiffe://cqox/engine")

    async def refuse() -> None:
        async with await listener.accept() as accepted:
            with pytest.raises(HandshakeFailed, match="certificate has expired"):
                await server.secure(accepted, "test")

    url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(url, tls=tls) as client:
            nursery.start_soon(refuse)
            with pytest.raises(httpx.ConnectError, match=r"refuses this certificate: .*CERTIFICATE_EXPIRED"):
                await client.send(Call(method="POST", target=b"/", content=b"{}"))
