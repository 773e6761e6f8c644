"""Replacement of the class that serves connections in Hypercorn's Trio worker.

It relies on private behaviour of Hypercorn, which tests verify: `hypercorn.trio.run.TCPServer` is looked up when a
server starts, called with application, configuration, context, lifespan state and stream, and awaited;
`context.terminated` is an event, set when no more connections are accepted.
"""

import ssl
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Protocol
from weakref import WeakKeyDictionary

import hypercorn.trio.run
import structlog
import trio
from hypercorn.config import Config
from hypercorn.utils import parse_socket_addr

from cqox import clock
from cqox.contract.messages import Message
from cqox.telemetry import metric_definitions, metrics
from services.http.response.problems import refused
from services.http.server.client_stream import Stream
from services.http.server.connection_limits import ConnectionLimits, Place
from services.http.server.http1 import Http1Connection
from services.http.server.socket_state import has_unread
from services.http.server.tls import HandshakeFailed, Peer, ServerTls
from services.http.tls_stream import TlsStream

__all__ = ["connections_of", "serve_connections"]

_log = structlog.stdlib.get_logger("cqox.connections")

_LOG_EVERY_SECONDS = 10.0


class _Event(Protocol):
    async def clear(self) -> None: ...
    async def wait(self) -> None: ...
    async def set(self) -> None: ...
    def is_set(self) -> bool: ...


class _Context(Protocol):
    terminated: _Event

    async def mark_request(self) -> None: ...


def serve_connections(limits: ConnectionLimits, tls: ServerTls | None = None) -> None:
    """Make Hypercorn's Trio worker serve connections with `Http1Connection` in this process from now on.

    Args:
        limits: the connection limits of the process.
        tls: secures the connections that Hypercorn accepts without TLS; None for plain TCP.
    """
    # Hypercorn has no hook for this. Its own TLS keeps one certificate for as long as it listens.
    hypercorn.trio.run.TCPServer = connections_of(limits, tls)  # type: ignore[assignment, attr-defined]


def connections_of(limits: ConnectionLimits, tls: ServerTls | None = None) -> Callable[..., Awaitable[None]]:
    """Return what serves one connection: it takes application, configuration, context, lifespan state and stream.

    Args:
        limits: the connection limits of the process.
        tls: secures the connections; None for plain TCP.
    """
    return partial(_Connection, _Connections(limits, tls))


class _Connections:
    """The open connections of a process, and the log of their failures."""

    def __init__(self, limits: ConnectionLimits, tls: ServerTls | None) -> None:
        self.limits = limits
        self.tls = tls
        self._open: WeakKeyDictionary[_Context, set[Http1Connection]] = WeakKeyDictionary()
        self._context: ssl.SSLContext | None = None
        self._logged_at = float("-inf")
        self._unlogged = 0

    def open_of(self, context: _Context) -> set[Http1Connection]:
        """Return the open connections of one server; idle ones are closed when it stops accepting."""
        if context not in self._open:
            self._open[context] = opened = set[Http1Connection]()
            context.terminated = _Terminated(context.terminated, opened)
        return self._open[context]

    def context_of(self, config: Config) -> ssl.SSLContext:
        """Return the certificates of Hypercorn's own settings, which stay as long as it listens."""
        if self._context is None:
            self._context = config.create_ssl_context()
            assert self._context is not None
        return self._context

    def failed(self, error: BaseException) -> None:
        """Count an exception of a connection, and log it at a limited rate."""
        metrics.count(metric_definitions.CONNECTIONS_CLOSED, {"reason": "failed"})
        self._unlogged += 1
        if clock.monotonic() - self._logged_at >= _LOG_EVERY_SECONDS:
            _log.error("connections failed and were closed: %d; the last by this", self._unlogged, exc_info=error)
            self._logged_at, self._unlogged = clock.monotonic(), 0


class _Terminated:
    """A wrapper of the event that a server stops accepting, which also closes its idle connections."""

    def __init__(self, event: _Event, opened: set[Http1Connection]) -> None:
        self.clear, self.wait, self.is_set = event.clear, event.wait, event.is_set
        self._set = event.set
        self._opened = opened

    async def set(self) -> None:
        await self._set()
        for connection in list(self._opened):
            connection.close_if_idle()


class _Connection:
    """The awaitable that Hypercorn creates for an accepted connection. It raises no exception except cancellation."""

    def __init__(
        self,
        connections: _Connections,
        app: Callable[..., Awaitable[None]],
        config: Config,
        context: _Context,
        state: Mapping[str, object],
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
    ) -> None:
        self._connections = connections
        self._app = app
        self._config = config
        self._context = context
        self._state = state
        self._accepted = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._stream: Stream = self._accepted
        self._has_tls = isinstance(stream, trio.SSLStream) or connections.tls is not None

    def __await__(self) -> Generator[object]:
        return self._run().__await__()

    async def _run(self) -> None:
        try:
            try:
                await self._serve()
            finally:
                await trio.aclose_forcefully(self._stream)
        except* Exception as errors:  # noqa: BLE001 - the root of one connection: an exception would end the server
            self._connections.failed(errors)

    async def _serve(self) -> None:
        bare = self._stream.socket
        try:
            client = parse_socket_addr(bare.family, bare.getpeername())
            server = parse_socket_addr(bare.family, bare.getsockname())
        except OSError:
            return
        place = self._connections.limits.admit(client[0] if client else "", has_unread=lambda: has_unread(bare))
        if place is None:
            await self._turn_away()
            return
        try:
            with place.scope:
                # A client that does not finish its handshake loses its place to another like one that sends slowly.
                with place.transferring():
                    peer = await self._secure(place.client)
                if peer is not None:
                    await self._answer(place, peer, client, server)
        finally:
            self._connections.limits.leave(place)
            if place.evicted:
                metrics.count(metric_definitions.CONNECTIONS_CLOSED, {"reason": "evicted"})

    async def _secure(self, client: str) -> Peer | None:
        """Perform the TLS handshake if there is TLS; return the client, None where HTTP/1.1 cannot be served to it."""
        tls, peer = self._connections.tls, Peer()
        if not self._has_tls:
            return peer
        try:
            if tls is not None:
                self._stream, peer = await tls.secure(self._accepted, client)
            else:
                self._stream = TlsStream(self._accepted, self._connections.context_of(self._config), server_name=None)
                with trio.fail_after(self._config.ssl_handshake_timeout):
                    await self._stream.do_handshake()
        except (ssl.SSLError, trio.BrokenResourceError, trio.TooSlowError, HandshakeFailed):
            return None
        return peer if self._stream.protocol in (None, "http/1.1") else None

    async def _answer(
        self, place: Place, peer: Peer, client: tuple[str, int] | None, server: tuple[str, int] | None
    ) -> None:
        tls = self._connections.tls
        opened = self._connections.open_of(self._context)
        http = Http1Connection(
            self._call,
            self._stream,
            scope={
                "asgi": {"spec_version": "2.1", "version": "3.0"},
                "scheme": "https" if self._has_tls else "http",
                "root_path": self._config.root_path,
                "client": client,
                "server": server,
                "state": {**self._state, "peer": peer.identity} if peer.identity else self._state,
            },
            headers=partial(self._config.response_headers, "h11"),
            place=place,
            keep_alive_seconds=self._config.keep_alive_timeout,
            closing=self._context.terminated.is_set,
            outdated=partial(tls.is_outdated, peer) if tls is not None else None,
            peer_allowed=peer.allowed,
        )
        opened.add(http)
        try:
            await http.serve()
        finally:
            opened.discard(http)

    async def _call(self, scope: object, receive: object, send: object) -> None:
        await self._context.mark_request()
        await self._app(scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)

    async def _turn_away(self) -> None:
        metrics.count(metric_definitions.CONNECTIONS_CLOSED, {"reason": "refused"})
        if self._has_tls:
            return
        status = HTTPStatus.SERVICE_UNAVAILABLE
        body = refused(status, Message("problems.no-free-connection-at-all"), instance="", request_id="-")
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with trio.move_on_after(1), suppress(trio.BrokenResourceError):
            await self._stream.send_all(head.encode() + body)
