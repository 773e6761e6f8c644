"""A transport for HTTP/1.1 to one engine, with a pool of keep-alive connections.

The pool of httpx scans all connections and waiting requests whenever one is added or removed, which costs the gateway
more than all its policies. As in httpx, h11 implements the protocol. Every failure is raised as httpx's exception of
that kind, because the policies determine from it whether the request was sent.

A response must belong to its request (`foreign_answers`), a body must pass the check that its headers announce
(`body_checks`), and a connection is closed at the first byte that is not part of the expected response.
"""

import re
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Self, cast

import h11
import httpx
import structlog
import trio

from cqox import clock
from services.gateway.body_checks import BodyCheck, BodyMismatch, check_for
from services.gateway.engine_request import EngineRequest
from services.gateway.foreign_answers import ForeignAnswer, is_own
from services.gateway.tls import EngineTls, Terms, connect
from services.http.request.propagation import Received
from services.http.tls_stream import TlsStream
from services.http.wire_fields import wire_fields

__all__ = ["EngineResponse", "EngineTransport", "ResponseBody"]

_log = structlog.stdlib.get_logger("cqox.gateway")

_READ_BYTES = 2**18
"""A report in one read: each costs a pass of the event loop and of the parser."""
_QUOTED = re.compile(r":? *bytearray\(.*", re.DOTALL)
_UNATTRIBUTED_HEADERS = frozenset({b"retry-after"})
"""Header fields kept of a failure without an exchange id: none that could belong to another client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResponse:
    """A response up to its body.

    Attributes:
        status: the HTTP status.
        headers: names in lower case with their values.
        body: the chunks of the body; its owner closes it.
        attributed: whether it names its request; see `foreign_answers.is_own`.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: "ResponseBody"
    attributed: bool = True


class EngineTransport:
    """A connection pool for one engine, which reuses idle connections. Cancellation closes the connection in use.

    Args:
        host: name or address of the engine.
        port: its port.
        authority: name and port that requests are for.
        connect_seconds: timeout of opening a connection.
        keep_seconds: keep-alive time of an idle connection.
        kept: the most idle connections.
        tls: verifies the engine; None for plain TCP.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        authority: bytes,
        connect_seconds: float,
        keep_seconds: float,
        kept: int,
        tls: EngineTls | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._authority = authority
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._keep_seconds = keep_seconds
        self._kept = kept
        # A stack: the most recently used is on the right, and is reused first.
        self._idle: deque[_Connection] = deque()

    async def send(self, request: EngineRequest) -> EngineResponse:
        """Send a request and wait for the head of its response; a cancellation closes the connection.

        Raises:
            httpx.TransportError: the engine is unreachable, the connection broke, or the response is foreign.
        """
        connection = self._take() or await self._connect(request)
        exchange = request.exchange
        try:
            await connection.send(request, self._authority)
            head = await connection.receive_head()
            status, headers = head.status_code, [(name.lower(), value) for name, value in head.headers.raw_items()]
            sent, sending = connection.sent, connection.sending
            own = is_own(request.method, exchange, status, headers, received=sent, sending=sending)
        except BaseException as error:
            connection.close()
            if isinstance(error, ForeignAnswer):
                self.report(error)
            raise
        if not own:
            connection.close()
            kept = [(name, value) for name, value in headers if name in _UNATTRIBUTED_HEADERS]
            return EngineResponse(status=status, headers=kept, body=ResponseBody(None, self, None), attributed=False)
        check = check_for(headers, exchange.decode("latin1"))
        return EngineResponse(status=status, headers=headers, body=ResponseBody(connection, self, check))

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def release(self, connection: "_Connection") -> None:
        """Return a connection to the pool where it can be reused, and close it otherwise."""
        connection.read_pending()
        if connection.excess_bytes:
            _log.warning(
                "the engine at %s:%d sent %d bytes beyond its answer: the connection is closed",
                self._host,
                self._port,
                connection.excess_bytes,
            )
        # Its terms are no part of `_is_stale`: the loop below would empty the pool where all connections have ended.
        if not connection.start_next_cycle() or connection.has_unread or not self._may_go_on(connection):
            connection.close()
            return
        connection.idle_since = clock.monotonic()
        self._idle.append(connection)
        while len(self._idle) > self._kept or self._is_stale(self._idle[0]):
            self._idle.popleft().close()

    def report(self, error: ForeignAnswer) -> None:
        """Log a foreign answer."""
        _log.warning("the engine at %s:%d: %s; the connection is closed", self._host, self._port, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    async def _connect(self, request: EngineRequest) -> "_Connection":
        # A retry finds in it that nothing was sent.
        noted = cast("httpx.Request", request)
        with trio.move_on_after(self._connect_seconds):
            try:
                return _Connection(*await connect(self._host, self._port, self._tls))
            except OSError as error:
                raise httpx.ConnectError(str(error), request=noted) from error
            except trio.BrokenResourceError as error:
                why = "the connection was closed before TLS was agreed upon"
                raise httpx.ConnectError(why, request=noted) from error
        raise httpx.ConnectTimeout(f"no connection within {self._connect_seconds:g} s", request=noted)

    def _take(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            # Readable data on an idle connection is its end or unsolicited.
            if not self._is_stale(connection) and self._may_go_on(connection) and not connection.has_unread:
                return connection
            connection.close()
        return None

    def _is_stale(self, connection: "_Connection") -> bool:
        return clock.monotonic() - connection.idle_since > self._keep_seconds

    def _may_go_on(self, connection: "_Connection") -> bool:
        return self._tls is None or self._tls.allows(connection.terms)


type _Stream = trio.SocketStream | TlsStream


class _Connection:
    __slots__ = ("_early", "_fresh", "_http", "idle_since", "sent", "stream", "terms")

    def __init__(self, stream: _Stream, terms: Terms) -> None:
        self.stream = stream
        self.terms = terms
        self._fresh = True
        self.idle_since = 0.0
        self.sent = Received()
        self._http = h11.Connection(h11.CLIENT)
        self._early: h11.Response | None = None

    @property
    def has_unread(self) -> bool:
        """True while received data or the end of the connection is unread."""
        return self.stream.socket.is_readable()

    @property
    def sending(self) -> bool:
        """True while the request is not completely sent."""
        return self._http.our_state is h11.SEND_BODY

    async def send(self, request: EngineRequest, authority: bytes) -> None:
        self.sent = Received()
        fields = wire_fields(request.head_fields(authority))
        head = h11.Request(method=request.method, target=request.target.raw, headers=fields)
        data = self._wire(head)
        if isinstance(request.content, bytes):
            if request.content:
                self.sent.take(request.content)
                data += self._wire(h11.Data(request.content))
            await self._send(data + self._wire(h11.EndOfMessage()))
            return
        await self._send(data)
        async for chunk in request.content:
            if await self._is_answered() or not await self._send(self._wire(h11.Data(chunk))):
                return
            self.sent.take(chunk)
        await self._send(self._wire(h11.EndOfMessage()))

    async def _is_answered(self) -> bool:
        """Read received data; return whether the engine has answered or closed before the request was complete."""
        while self.has_unread:
            try:
                data = await self.stream.receive_some(_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return True
            if not data:
                return True
            self._http.receive_data(data)
            event = self._next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._next_event()
            if isinstance(event, h11.Response):
                self._early = event
                return True
        return False

    async def receive_head(self) -> h11.Response:
        if self._early is not None:
            return self._early
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("the connection was closed without an answer")

    async def receive_body(self) -> bytes | None:
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    def read_pending(self) -> None:
        """Feed unread TLS data to the parser, so that surplus bytes and the end of the stream are seen."""
        if isinstance(self.stream, TlsStream) and (data := self.stream.read_pending()):
            self._http.receive_data(data)

    @property
    def excess_bytes(self) -> int:
        """Number of bytes after the end of the response, which the next request would read as its own."""
        if self._http.their_state not in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            return 0
        return len(self._http.trailing_data[0])

    def start_next_cycle(self) -> bool:
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE or self.excess_bytes:
            return False
        # TLS can end while the TCP connection stays open without readable data.
        if isinstance(self.stream, TlsStream) and self.stream.ended:
            return False
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        self.stream.socket.close()

    async def _event(self) -> h11.Event | None:
        end = ""
        while True:
            event = self._next_event(end)
            if event is not h11.NEED_DATA:
                return event if isinstance(event, h11.Event) else None
            try:
                data = await self.stream.receive_some(_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                if self._fresh and _is_alert(error):
                    # With TLS 1.3 a server verifies the certificate of its client after the client's handshake.
                    raise httpx.ConnectError(f"the engine refuses this certificate: {error.__cause__}") from error
                raise httpx.ReadError(str(error.__cause__ or error)) from error
            self._fresh = False
            if not data:
                begun = self._http.their_state is not h11.SEND_RESPONSE or self._http.trailing_data[0]
                end = "in the middle of the answer" if begun else "without an answer"
            self._http.receive_data(data)

    def _next_event(self, end: str = "") -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise _translated(error, end) from error

    async def _send(self, data: bytes) -> bool:
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # An engine that rejects an upload answers before reading all of it; use that response.
            return False
        return True

    def _wire(self, event: h11.Event) -> bytes:
        try:
            return self._http.send(event) or b""
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error


class ResponseBody:
    """The chunks of a response body; closing it returns the connection to the pool, or closes it."""

    def __init__(self, connection: _Connection | None, transport: EngineTransport, check: BodyCheck | None) -> None:
        self._connection = connection
        self._transport = transport
        self._check = check

    # Not a generator: an abandoned one would be closed only by the garbage collector.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while self._connection is not None:
            data = await self._connection.receive_body()
            checked = data if self._check is None else self._checked(data)
            if data is None:
                break
            if checked:
                return checked
        raise StopAsyncIteration

    def _checked(self, data: bytes | None) -> bytes:
        assert self._check is not None
        try:
            if data is not None:
                return self._check.take(data)
            self._check.finish()
        except BodyMismatch as mismatch:
            error = ForeignAnswer(mismatch.why)
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._transport.report(error)
            raise error from None
        return b""

    async def aclose(self) -> None:
        """Give the connection up; a body that was not read to its end closes it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(connection)


def _is_alert(error: Exception) -> bool:
    return isinstance(error.__cause__, ssl.SSLError) and "ALERT" in (error.__cause__.reason or "")


def _translated(error: h11.RemoteProtocolError, end: str) -> httpx.RemoteProtocolError:
    # Messages of h11 describe its own states at the end of a connection, and quote data that it could not parse.
    if end:
        return httpx.RemoteProtocolError(f"the connection was closed {end}")
    said = _QUOTED.sub("", str(error))
    if "_SWITCH_" in said:
        said = "it changes to a protocol that nobody asked for"
    return httpx.RemoteProtocolError(f"what came is no HTTP/1.1: {said}")
