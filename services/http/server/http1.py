"""An HTTP/1.1 connection: requests are served sequentially, each by an ASGI application.

Only one task and the application's calls of `receive` and `send` read and write, so that nothing is queued and no
reader outlives a request. A failure closes only this connection.

It replaces Hypercorn's class, whose close can conflict with a send of another task and end the server, which answers
pipelined bytes after `Connection: close` instead of the request before them, and which keeps connections that their
clients have left.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

import h11
import structlog
import trio
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope, Scope

from cqox.contract.messages import Message
from services.http.request.heads import RefusedRequest, RequestLine, body_bytes, check_head, fields_of
from services.http.request.request_ids import request_id_from
from services.http.request.targets import Target
from services.http.response.headers import headers_of_refusal, log_refusal
from services.http.response.problems import refused
from services.http.server.client_stream import DISCARDED_BYTES, ClientStream, Stream
from services.http.server.connection_limits import Place
from services.http.server.extensions import ARRIVED_BODY, HELD, SOCKET
from services.http.statuses import WITHOUT_CONTENT
from services.http.wire_fields import wire_fields

__all__ = ["Application", "Http1Connection"]

_log = structlog.stdlib.get_logger("cqox.connections")

HEAD_SECONDS = 15.0
"""Timeout from the first byte of a head to its end."""

_HEAD_BYTES = 2**14
_KEPT_HEAD_BYTES = 2**13
_MESSAGE_BYTES = 2**16
_MESSAGE_PIECES = 256
_FREE_CHUNKS = 20_000
_LEAST_CHUNK_BYTES = 16
_PIPELINED_BYTES = 2**16
_PARKED_LOOK_SECONDS = 0.1
_MOMENT_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.001
_LONGEST_LOOK_SECONDS = 0.02

type Application = Callable[
    [Scope, Callable[[], Awaitable[ASGIReceiveEvent]], Callable[[ASGISendEvent], Awaitable[None]]], Awaitable[None]
]


class Http1Connection:
    """The server side of one connection.

    Args:
        app: the ASGI application.
        stream: the connection; closed by its owner.
        scope: members shared by the scopes of all its requests.
        headers: returns fields that are added to every response.
        place: its slot in the connection limits.
        keep_alive_seconds: keep-alive timeout.
        closing: returns whether the server has stopped accepting requests.
        outdated: returns whether the connection must be closed after the next response; None for never.
        peer_allowed: whether the client may request more than the health paths.
    """

    def __init__(
        self,
        app: Application,
        stream: Stream,
        *,
        scope: Mapping[str, object],
        headers: Callable[[], list[tuple[bytes, bytes]]],
        place: Place,
        keep_alive_seconds: float,
        closing: Callable[[], bool],
        outdated: Callable[[], bool] | None = None,
        peer_allowed: bool = True,
    ) -> None:
        self._app = app
        self._client = ClientStream(stream, place)
        self._shared = scope
        self._headers = headers
        self._place = place
        self._keep_alive_seconds = keep_alive_seconds
        self._closing = closing
        self._outdated = outdated
        self._peer_allowed = peer_allowed
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self._idle: trio.CancelScope | None = None
        self._head = b""
        self._facts: dict[str, object] = {}
        self._unread = False
        self._new_request()

    def _new_request(self) -> None:
        self._request: h11.Request | None = None
        self._pending = b""
        self._chunks = 0
        self._body_bytes = 0
        self._bodiless = False
        self._arrived: bytes | None = None

    async def serve(self) -> None:
        """Serve requests until either side closes the connection; nothing may be sent after that."""
        while await self._serve_one():
            self._new_request()
        await self._client.linger(unread=self._unread or bool(self._http.trailing_data[0]))

    def close_if_idle(self) -> None:
        """Close the connection unless a request is in flight."""
        if self._idle is not None:
            self._idle.cancel("the server accepts no more requests")

    async def _serve_one(self) -> bool:
        try:
            request = await self._next_request()
            if request is None:
                return False
            target = check_head(request, probes_only=self._place.probes_only, peer_allowed=self._peer_allowed)
        except RefusedRequest as refusal:
            await self._refuse(refusal.status, refusal.detail)
            return False
        self._request = request
        try:
            await self._app(self._scope_of(request, target), self._receive, self._send)
        except Exception:  # noqa: BLE001 - the root of one request: the connection cannot be reused after a failure
            if not self._client.over:
                _log.exception("the application failed")
            await self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, Message("problems.cause-in-log-of-service"))
            return False
        if self._client.over or not self._is_done():
            return False
        if self._closing() or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._head = self._http.trailing_data[0][:_KEPT_HEAD_BYTES]
        return True

    def _is_done(self) -> bool:
        return self._http.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    async def _next_request(self) -> h11.Request | None:
        seconds = HEAD_SECONDS if self._head else self._keep_alive_seconds
        with trio.CancelScope(deadline=trio.current_time() + seconds) as self._idle:
            while True:
                try:
                    event = self._http.next_event()
                except h11.RemoteProtocolError as error:
                    raise RefusedRequest.of(error, max_head_bytes=_HEAD_BYTES) from None
                if isinstance(event, h11.Request):
                    self._idle = None
                    return event
                if event is not h11.NEED_DATA or self._closing():
                    return None
                data = await (self._client.more() if self._head else self._client.first_bytes())
                if data is None:
                    return None
                if data and not self._head:
                    self._idle.deadline = trio.current_time() + HEAD_SECONDS
                self._head = (self._head + data)[:_KEPT_HEAD_BYTES]
                self._http.receive_data(data)
        # The keep-alive timeout has passed, or the server is closing.
        self._idle = None
        if self._head and not self._closing():
            raise RefusedRequest(HTTPStatus.REQUEST_TIMEOUT, Message("request.head-too-slow", seconds=HEAD_SECONDS))
        return None

    def _scope_of(self, request: h11.Request, target: Target) -> HTTPScope:
        headers = fields_of(request)
        if target.authority is not None:
            # RFC 9112, section 3.2.2: the authority of an absolute target replaces the Host header.
            headers = [(b"host", target.authority), *((name, value) for name, value in headers if name != b"host")]
        self._arrived = self._arrived_body(request)
        extensions: dict[str, object] = {} if self._arrived is None else {ARRIVED_BODY: self._arrived}
        descriptor = self._client.descriptor
        if descriptor is not None:
            extensions[SOCKET] = descriptor
        self._facts = dict(cast("dict[str, object]", self._shared["state"]))
        scope = {
            **self._shared,
            "type": "http",
            "http_version": request.http_version.decode("ascii"),
            "method": request.method.decode("ascii"),
            "path": unquote(target.path.decode("ascii")),
            "raw_path": target.path,
            "query_string": target.query,
            "headers": headers,
            "state": self._facts,
            "extensions": extensions,
        }
        return cast("HTTPScope", scope)

    def _arrived_body(self, request: h11.Request) -> bytes | None:
        """Parse a body that has arrived with its head; None where part of it is missing, or it is sent in chunks."""
        size = body_bytes(request)
        if size is None or size > min(_MESSAGE_BYTES, len(self._http.trailing_data[0])):
            return None
        pieces: list[bytes] = []
        while isinstance(event := self._http.next_event(), h11.Data):
            pieces.append(bytes(event.data))
        return b"".join(pieces)

    async def _receive(self) -> ASGIReceiveEvent:
        """Return the next chunk of the body; after its end, wait for the client to disconnect."""
        if self._arrived is not None:
            body, self._arrived = self._arrived, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._client.over:
            try:
                if self._http.their_state is h11.SEND_BODY:
                    message = await self._body_message()
                    if message is not None:
                        return message
                else:
                    await self._watch()
            except h11.RemoteProtocolError as error:
                refusal = RefusedRequest.of(error, max_head_bytes=_HEAD_BYTES)
                await self._refuse(refusal.status, refusal.detail)
            except RefusedRequest as refusal:
                await self._refuse(refusal.status, refusal.detail)
        self._client.over = True
        return {"type": "http.disconnect"}

    async def _body_message(self) -> ASGIReceiveEvent | None:
        if self._http.they_are_waiting_for_100_continue:
            await self._write(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=self._headers()))
        pieces: list[bytes] = []
        size = 0
        while size < _MESSAGE_BYTES and len(pieces) < _MESSAGE_PIECES:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                pieces.append(event.data)
                size += len(event.data)
                self._count_chunk(event)
            elif isinstance(event, h11.EndOfMessage):
                return {"type": "http.request", "body": b"".join(pieces), "more_body": False}
            elif pieces:
                break
            elif not await self._more_body():
                return None
        else:
            # Thousands of small chunks may be buffered: yield to other tasks between messages.
            await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"".join(pieces), "more_body": True}

    async def _more_body(self) -> bool:
        data = await self._client.more()
        if data is None:
            return False
        self._http.receive_data(data)
        return True

    def _count_chunk(self, event: h11.Data) -> None:
        self._chunks += event.chunk_end
        self._body_bytes += len(event.data)
        if self._chunks > _FREE_CHUNKS and self._body_bytes < _LEAST_CHUNK_BYTES * self._chunks:
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, Message("request.chunks-too-small", least=_LEAST_CHUNK_BYTES))

    async def _watch(self) -> None:
        """Wait until the client disconnects; buffer received bytes for the next request within a bound."""
        ahead = len(self._http.trailing_data[0])
        while True:
            # Bytes after 'Connection: close' are not a request (RFC 9112, section 9.6).
            last = self._http.their_state is h11.MUST_CLOSE
            while ahead > (DISCARDED_BYTES if last else _PIPELINED_BYTES):
                if self._client.has_hung_up():
                    return
                await trio.sleep(_PARKED_LOOK_SECONDS)
            data = await self._client.read()
            if data is None:
                return
            if not data:
                if not last:
                    self._http.receive_data(b"")
                await self._half_closed()
                return
            ahead += len(data)
            if last:
                self._unread = True
            else:
                self._http.receive_data(data)

    async def _half_closed(self) -> None:
        """Wait until a client that has closed its side has disconnected completely.

        A half-closed client may still read; the kernel detects that it has left only when data is sent. So interim
        responses are sent until a reset. Once the response has begun, a pause in it counts as a disconnect.
        """
        since, pause, look = trio.current_time(), 0.0, _FIRST_LOOK_SECONDS
        while not self._client.is_reset():
            still = trio.current_time() - max(since, self._client.sent_at) >= pause
            if still and not self._client.is_writing:
                if await self._say_continue():
                    pause = min(2 * pause + _MOMENT_SECONDS, _LONGEST_PAUSE_SECONDS)
                elif self._http.our_state is not h11.SEND_RESPONSE and pause:
                    return
                else:
                    pause = _MOMENT_SECONDS
            await trio.sleep(look)
            look = min(2 * look, _LONGEST_LOOK_SECONDS)

    async def _say_continue(self) -> bool:
        if self._http.our_state is not h11.SEND_RESPONSE or self._http.their_http_version != b"1.1":
            return False
        await self._write(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[]))
        return True

    async def _send(self, message: ASGISendEvent) -> None:
        """Send a part of the response; do nothing where the connection is closed."""
        if self._client.over:
            # A checkpoint, so that an endless response can be cancelled.
            await trio.lowlevel.checkpoint()
            return
        try:
            if message["type"] == "http.response.start":
                await self._begin_answer(int(message["status"]), message.get("headers", []), HELD in message)
            elif message["type"] == "http.response.body":
                await self._go_on(bytes(message.get("body", b"")), more=message.get("more_body", False))
        except h11.LocalProtocolError as error:
            # The application sends an invalid response: a header that HTTP does not allow, or a body of another length.
            _log.error("an answer cannot be sent: %s", error)
            await self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, Message("problems.cause-in-log-of-service"))

    async def _begin_answer(self, status: int, headers: object, held: bool) -> None:
        assert self._request is not None
        fields = [(bytes(name), bytes(value)) for name, value in cast("list[tuple[bytes, bytes]]", headers)]
        self._bodiless = self._request.method == b"HEAD" or status in WITHOUT_CONTENT
        self._place.streams_events = any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in fields
        )
        if self._outdated is not None and self._outdated():
            fields = [*(field for field in fields if field[0].lower() != b"connection"), (b"connection", b"close")]
        if status == HTTPStatus.NO_CONTENT:
            # RFC 9110, section 8.6.
            fields = [field for field in fields if field[0].lower() != b"content-length"]
        event = h11.Response(status_code=status, headers=wire_fields([*fields, *self._headers()]))
        if held:
            self._pending = self._http.send(event) or b""
        else:
            await self._write(event)

    async def _go_on(self, body: bytes, *, more: bool) -> None:
        parts = [self._pending]
        self._pending = b""
        if body and not self._bodiless:
            parts += self._http.send_with_data_passthrough(h11.Data(data=body)) or ()
        if not more:
            parts += self._http.send_with_data_passthrough(h11.EndOfMessage()) or ()
        await self._client.write(*parts)

    async def _write(self, event: h11.Event) -> None:
        await self._client.write(self._http.send(event) or b"")

    async def _refuse(self, status: int, detail: Message) -> None:
        """Send a problem, unless a response has begun, and close the connection."""
        if self._client.over or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._client.over = self._unread = True
            return
        request_id, path = self._say_refused(status, detail)
        body = refused(status, detail, instance=path, request_id=request_id)
        secure = self._shared["scheme"] == "https"
        headers = [*headers_of_refusal(request_id, len(body), self._read_head(), secure=secure), *self._headers()]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append((b"retry-after", b"1"))
        try:
            data = self._http.send(h11.Response(status_code=status, headers=headers)) or b""
            if self._request is None or self._request.method != b"HEAD":
                data += self._http.send(h11.Data(data=body)) or b""
            data += self._http.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:
            data = b""
        await self._client.write(data)
        self._client.over = self._unread = True

    def _read_head(self) -> bytes:
        if self._request is None:
            return self._head
        return b"".join(b"\n%s: %s\n" % field for field in self._request.headers)

    def _say_refused(self, status: int, detail: str) -> tuple[str, str]:
        """Log the rejection unless the request's handler does; return its request id and path."""
        if self._request is not None:
            given = next((value for name, value in self._request.headers if name == b"x-request-id"), b"")
            request_id = str(self._facts.setdefault("request_id", request_id_from(given.decode("latin1"))))
            self._facts["refused"] = int(status)
            return request_id, self._request.target.partition(b"?")[0].decode("latin1")
        read = RequestLine.of(self._head)
        request_id = request_id_from(read.request_id)
        client = cast("tuple[str, int] | None", self._shared["client"])
        log_refusal(str(read), status, detail, request_id=request_id, client=client)
        return request_id, read.path
