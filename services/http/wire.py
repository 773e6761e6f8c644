"""One connection on the wire: Hypercorn's, with what it lacks.

A connection whose client has closed it ends at once, where Hypercorn keeps it for as long as an idle one; and what
cannot be read as HTTP is answered by a problem and leaves a line in the log.
"""

import math
import re
import socket
import sys
from contextlib import suppress
from typing import cast

import h11
import hypercorn.trio.run
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer

from services.http.middleware import headers_of_refusal, log_refusal, request_id_from
from services.http.problems import refused

__all__ = ["serve_connections"]

_MOMENT_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.001
_LONGEST_LOOK_SECONDS = 0.02
_HEAD_BYTES = 2**13
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,20}) ([!-~]{1,2000})")
_REQUEST_ID = re.compile(rb"\r?\nx-request-id:[ \t]*([!-~]{1,128})", re.IGNORECASE)


def serve_connections() -> None:
    """Have Hypercorn's Trio worker serve connections as described here, in this process and from now on."""
    # There is no other place where it can be told what serves a connection.
    hypercorn.trio.run.TCPServer = _Server  # type: ignore[attr-defined]


class _Http1(H11Protocol):
    """HTTP/1.1 of one connection, whose refusals are problems.

    Attributes:
        reading: what reads from the connection, and has nothing more to do once that is closed.
    """

    reading: trio.CancelScope | None = None
    _head = b""

    async def handle(self, event: Event) -> None:
        if self.stream is None and isinstance(event, RawData):
            self._head = (self._head + event.data)[:_HEAD_BYTES]
        await super().handle(event)
        if isinstance(event, Closed) and self.reading is not None:
            # Where more requests came before the answer to one, it waits for that answer to be over.
            self.reading.cancel()

    async def say_continue(self) -> bool:
        """Send an interim answer, which a client that has left resets; False where none may be sent."""
        connection = self.connection
        if not isinstance(connection, h11.Connection) or connection.our_state is not h11.SEND_RESPONSE:
            return False
        if connection.their_http_version != b"1.1":
            return False
        await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
        return True

    async def _create_stream(self, request: h11.Request) -> None:
        self._head = b""
        await super()._create_stream(request)

    async def _send_error_response(self, status_code: int) -> None:
        detail = _plainly(status_code, str(sys.exception() or ""))
        if self.stream is None:
            line, named = _REQUEST_LINE.match(self._head), _REQUEST_ID.search(self._head)
            method, target = (part.decode() for part in line.groups()) if line else ("-", "-")
            path = target.partition("?")[0] if line else ""
            request_id = request_id_from(named[1].decode() if named else None)
            log_refusal(f"{method} {path or target}", status_code, detail, request_id=request_id, client=self.client)
        else:
            # The handler is about to be cancelled, and leaves the line with its own id.
            scope = self.stream.scope
            named_by_client = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
            facts = cast("dict[str, object]", scope["state"])
            path, request_id = (
                scope["path"],
                str(facts.setdefault("request_id", request_id_from(named_by_client.decode("latin1")))),
            )
            if not self._ended():
                facts["refused"] = status_code
        body = refused(status_code, detail, instance=path, request_id=request_id)
        headers = [*headers_of_refusal(request_id, len(body)), *self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    def _ended(self) -> bool:
        return bool(self.connection.trailing_data[1])


def _plainly(status: int, said: str) -> str:
    # What h11 says is about its own states, and quotes what it could not read.
    if status == 431:
        return "The head of the request is larger than is accepted."
    if status == 501:
        return "The body comes in a Transfer-Encoding other than 'chunked'."
    if "Host: header" in said:
        return "The request must have one Host header."
    if "chunk" in said:
        return "The body is announced as chunked, and what came is no chunk."
    if "Content-Length" in said:
        return "The Content-Length must be one number of bytes."
    if "closed" in said:
        return "The connection was closed before the whole request had come."
    return "What came is no HTTP/1.1 request."


class _Server(TCPServer):
    """One connection; it ends when the client has closed it and nothing is left to answer.

    A client that has closed its side may still read, or may have left: the kernel tells these apart only once something
    is sent. So while a request is in flight an interim answer is sent, and a reset is the end. Where the answer has
    begun already, a pause in it is.
    """

    _over = False
    _sending = 0
    _moved_at = -math.inf

    async def protocol_send(self, event: Event) -> None:
        """Hand on what the protocol sends."""
        if self._over and isinstance(event, Updated):
            return
        self._sending += 1
        try:
            await super().protocol_send(event)
        finally:
            self._sending -= 1
            self._moved_at = trio.current_time()

    async def _read_data(self) -> None:
        made, reading = self.protocol, trio.CancelScope()
        if type(made.protocol) is H11Protocol:
            made.protocol = _Http1(
                self.app,
                self.config,
                self.context,
                self._task_group,
                made.state,
                made.ssl,
                made.client,
                made.server,
                made.send,
            )
            made.protocol.reading = reading
        with reading, suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            while data := await self.stream.receive_some(MAX_RECV):
                await made.handle(RawData(bytes(data)))
            await made.handle(RawData(b""))
            await self._answer_the_rest()
        self._over = True
        await made.handle(Closed())
        await self.idle_task.stop()

    async def _answer_the_rest(self) -> None:
        http = self.protocol.protocol
        if not isinstance(http, _Http1):
            return
        since, pause, look = trio.current_time(), 0.0, _FIRST_LOOK_SECONDS
        while http.stream is not None and not self._reset():
            if not self._sending and trio.current_time() - max(since, self._moved_at) >= pause:
                if await http.say_continue():
                    pause = min(2 * pause + _MOMENT_SECONDS, _LONGEST_PAUSE_SECONDS)
                elif pause:
                    return
                else:
                    pause = _MOMENT_SECONDS
            await trio.sleep(look)
            look = min(2 * look, _LONGEST_LOOK_SECONDS)

    def _reset(self) -> bool:
        try:
            return bool(self.stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        except (OSError, AttributeError):
            return True
