"""A scripted peer of the transport on real sockets, plain and over TLS."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from services.gateway.engine_client import Call, EngineClient
from tests.services.gateway.exchanges import answer_to
from tests.waiting import PATIENCE_SECONDS

__all__ = ["GET", "LOCALHOST", "OK", "Peer", "certified", "talking"]


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: user=one\r\n\r\nok"
GET = Call(method="GET", target=b"/")
LOCALHOST = Path(__file__).parent / "localhost.pem"


def certified() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(LOCALHOST)
    return context


class Peer:
    """A peer that answers the requests of each connection in order; an empty answer closes it."""

    def __init__(
        self, listener: trio.SocketListener, scripts: Sequence[Sequence[bytes]], *, scheme: str = "http"
    ) -> None:
        self.url = f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}"
        self._tls = certified() if scheme == "https" else None
        self.seen: list[list[bytes]] = []
        self._listener = listener
        self._scripts = scripts

    async def serve(self) -> None:
        for script in self._scripts:
            stream: trio.abc.Stream = await self._listener.accept()
            if self._tls is not None:
                stream = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
            self.seen.append([])
            async with stream:
                for answer in script:
                    self.seen[-1].append(await stream.receive_some())
                    if answer:
                        await stream.send_all(answer_to(self.seen[-1][-1], answer))


@asynccontextmanager
async def talking(*scripts: Sequence[bytes], scheme: str = "http") -> AsyncIterator[tuple[Peer, EngineClient]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listener, scripts, scheme=scheme)
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery, EngineClient.open(peer.url) as client:
            nursery.start_soon(peer.serve)
            yield peer, client
            nursery.cancel_scope.cancel()
