"""HTTP/1.1 on one connection to an engine: one request and its response after another.

As in httpx, h11 implements the protocol, except for the usual messages of `usual_messages`, and for a body whose length
the head states. h11 takes more time for one exchange than all policies, and copies such a body four times; here its
bytes are handed over as they are received. A response that is not usual is left to h11 from its first byte on.
"""

import re
import ssl

import h11
import httpx
import trio

from services.gateway.engine_request import EngineRequest
from services.gateway.tls import Terms
from services.gateway.usual_messages import ResponseHead, read_usual_head, written_usual
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

    __slots__ = (
        "_early",
        "_fresh",
        "_has_body",
        "_left",
        "_next",
        "_parser",
        "_request",
        "idle_since",
        "sent",
        "stream",
        "terms",
    )

    def __init__(self, stream: _Stream, terms: Terms) -> None:
        self.stream = stream
        self.terms = terms
        self._fresh = True
        self.idle_since = 0.0
        self.sent = Received()
        # None until something is not usual.
        self._parser: h11.Connection | None = None
        # Sent without the parser, with the authority.
        self._request: tuple[EngineRequest, bytes] | None = None
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
        return self._parser is not None and self._parser.our_state is h11.SEND_BODY

    async def send(self, request: EngineRequest, authority: bytes) -> None:
        """Send a request, unless the engine answers or closes before all of it is sent.

        Raises:
            httpx.LocalProtocolError: HTTP does not allow such a request.
        """
        self.sent = Received()
        self._has_body = request.method != "HEAD"
        self._request = request, authority
        if isinstance(request.content, bytes):
            data = written_usual(request, authority) or self._written(request, authority)
            if request.content:
                self.sent.take(request.content)
            await self._send(data)
            return
        await self._send(self._written(request, authority))
        async for chunk in request.content:
            if await self._is_answered() or not await self._send(self._wire(h11.Data(chunk))):
                return
            self.sent.take(chunk)
        await self._send(self._wire(h11.EndOfMessage()))

    async def receive_head(self) -> ResponseHead:
        """Wait for the head of the response.

        Raises:
            httpx.TransportError: the connection broke, or what came is no HTTP/1.1.
        """
        if self._parser is None:
            data = await self._read()
            usual = read_usual_head(data)
            if usual is not None:
                head, size_bytes, self._left = usual
                self._next = data[size_bytes:]
                return head
            if not data:
                raise httpx.RemoteProtocolError("the connection was closed without an answer")
            # The parser has to know the request; its bytes were sent.
            assert self._request is not None
            self._written(*self._request)
            self._next = data
        response = self._early or await self._receive_final()
        self._left = self._length_of(response)
        if self._left is not None:
            self._next = self._http.trailing_data[0] + self._next
        elif self._next:
            self._http.receive_data(self._next)
            self._next = b""
        headers = [(name.lower(), value) for name, value in response.headers.raw_items()]
        return ResponseHead(response.status_code, headers)

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
        if not read or self.excess_bytes or (self._parser is not None and self._parser.our_state is not h11.DONE):
            return False
        # TLS can end while the TCP connection stays open without readable data.
        if isinstance(self.stream, TlsStream) and self.stream.ended:
            return False
        # A parser that has not read the body would wait for it.
        self._parser, self._request, self._early, self._left = None, None, None, None
        return True

    def close(self) -> None:
        """Close the connection."""
        self.stream.socket.close()

    @property
    def _http(self) -> h11.Connection:
        if self._parser is None:
            self._parser = h11.Connection(h11.CLIENT)
        return self._parser

    def _written(self, request: EngineRequest, authority: bytes) -> bytes:
        """Return a request as h11 writes it, without a body that is a stream."""
        fields = wire_fields(request.head_fields(authority))
        data = self._wire(h11.Request(method=request.method, target=request.target.raw, headers=fields))
        if isinstance(request.content, bytes):
            if request.content:
                data += self._wire(h11.Data(request.content))
            data += self._wire(h11.EndOfMessage())
        return data

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
