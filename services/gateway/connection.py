"""HTTP/1.1 on one connection to an engine: one request and its response after another.

As in httpx, h11 implements the protocol, except for a body whose length the head states. h11 copies such a body four
times, which costs the gateway more than all its policies; here its bytes are handed over as they are received.
"""

import re
import ssl

import h11
import httpx
import trio

from services.gateway.engine_request import EngineRequest
from services.gateway.tls import Terms
from services.http.request.propagation import Received
from services.http.statuses import WITHOUT_CONTENT
from services.http.tls_stream import TlsStream
from services.http.wire_fields import wire_fields

__all__ = ["EngineConnection"]

_READ_BYTES = 2**17 - 2**12
"""A report in one read, which costs a pass of the event loop; from 2**17 bytes on, the memory of each read comes from
the kernel page by page and goes back to it, which costs more than the pass."""
_QUOTED = re.compile(r":? *bytearray\(.*", re.DOTALL)
_HEAD_END = b"\r\n\r\n"
_FRAMING = (b"content-length", b"transfer-encoding")
_CUT = "in the middle of the answer"

type _Stream = trio.SocketStream | TlsStream


class EngineConnection:
    """One connection; after a failure or a cancellation its owner closes it.

    Args:
        stream: the open connection.
        terms: the certificates that it was opened with.

    Attributes:
        stream: as given; so is `terms`.
        idle_since: when the pool got it back, in monotonic time.
        sent: the part of the request's body that was sent.
    """

    __slots__ = ("_early", "_fresh", "_has_body", "_http", "_left", "_next", "idle_since", "sent", "stream", "terms")

    def __init__(self, stream: _Stream, terms: Terms) -> None:
        self.stream = stream
        self.terms = terms
        self._fresh = True
        self.idle_since = 0.0
        self.sent = Received()
        self._http = h11.Connection(h11.CLIENT)
        self._early: h11.Response | None = None
        self._has_body = True
        # Bytes of the body that are yet to come; None where h11 reads it.
        self._left: int | None = None
        # Received after what the parser has got.
        self._next = b""

    @property
    def has_unread(self) -> bool:
        """True while received data or the end of the connection is unread."""
        return self.stream.socket.is_readable()

    @property
    def sending(self) -> bool:
        """True while the request is not completely sent."""
        return self._http.our_state is h11.SEND_BODY

    async def send(self, request: EngineRequest, authority: bytes) -> None:
        """Send a request, unless the engine answers or closes before all of it is sent.

        Raises:
            httpx.LocalProtocolError: HTTP does not allow such a request.
        """
        self.sent = Received()
        self._has_body = request.method != "HEAD"
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

    async def receive_head(self) -> h11.Response:
        """Wait for the head of the response.

        Raises:
            httpx.TransportError: the connection broke, or what came is no HTTP/1.1.
        """
        head = self._early or await self._receive_final()
        self._left = self._length_of(head)
        if self._left is not None:
            self._next = self._http.trailing_data[0] + self._next
        elif self._next:
            self._http.receive_data(self._next)
            self._next = b""
        return head

    async def receive_body(self) -> bytes | None:
        """Wait for the next part of the body; return None at its end.

        Raises:
            httpx.TransportError: the connection broke before its end, or its chunks are malformed.
        """
        if self._left is None:
            event = await self._event()
            return bytes(event.data) if isinstance(event, h11.Data) else None
        if not self._left:
            return None
        data, self._next = self._next or await self._read(), b""
        if not data:
            raise httpx.RemoteProtocolError(f"the connection was closed {_CUT}")
        if len(data) > self._left:
            data, self._next = data[: self._left], data[self._left :]
        self._left -= len(data)
        return data

    def read_pending(self) -> None:
        """Take unread TLS data, so that surplus bytes and the end of the stream are seen."""
        if isinstance(self.stream, TlsStream) and (data := self.stream.read_pending()):
            if self._left is None:
                self._http.receive_data(data)
            else:
                self._next += data

    @property
    def excess_bytes(self) -> int:
        """Number of bytes after the end of the response, which the next request would read as its own."""
        if self._left is not None:
            return 0 if self._left else len(self._next)
        if self._http.their_state not in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            return 0
        return len(self._http.trailing_data[0])

    def start_next_cycle(self) -> bool:
        """Prepare for the next request; return False where the connection cannot be used any more."""
        read = self._http.their_state is h11.DONE if self._left is None else not self._left
        # Our state is another one where a side has announced that this is the last response.
        if self._http.our_state is not h11.DONE or not read or self.excess_bytes:
            return False
        # TLS can end while the TCP connection stays open without readable data.
        if isinstance(self.stream, TlsStream) and self.stream.ended:
            return False
        if self._left is None:
            self._http.start_next_cycle()
        else:
            # The other one waits for a body that it never gets.
            self._http, self._left = h11.Connection(h11.CLIENT), None
        return True

    def close(self) -> None:
        """Close the connection."""
        self.stream.socket.close()

    def _length_of(self, head: h11.Response) -> int | None:
        if self.sending or not self._has_body or head.status_code in WITHOUT_CONTENT:
            return None
        framing = [(name, value) for name, value in head.headers if name in _FRAMING]
        return int(framing[0][1]) if [name for name, _ in framing] == [b"content-length"] else None

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

    async def _receive_final(self) -> h11.Response:
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("the connection was closed without an answer")

    async def _event(self) -> h11.Event | None:
        end = ""
        while True:
            event = self._next_event(end)
            if event is not h11.NEED_DATA:
                return event if isinstance(event, h11.Event) else None
            data, self._next = self._next or await self._read(), b""
            if not data:
                begun = self._http.their_state is not h11.SEND_RESPONSE or self._http.trailing_data[0]
                end = _CUT if begun else "without an answer"
            elif self._http.their_state is h11.SEND_RESPONSE and (found := data.find(_HEAD_END)) >= 0:
                data, self._next = data[: found + len(_HEAD_END)], data[found + len(_HEAD_END) :]
            self._http.receive_data(data)

    async def _read(self) -> bytes:
        try:
            data = await self.stream.receive_some(_READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            if self._fresh and _is_alert(error):
                # With TLS 1.3 a server verifies the certificate of its client after the client's handshake.
                raise httpx.ConnectError(f"the engine refuses this certificate: {error.__cause__}") from error
            raise httpx.ReadError(str(error.__cause__ or error)) from error
        self._fresh = False
        return data

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
