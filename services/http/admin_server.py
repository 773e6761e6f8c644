"""Serves the administration paths on the admin socket, one request for each connection.

Apart from the server of the port, so that an operator gets through where that one has no place left. Who reaches the
socket may steer: its file is for its owner alone, and the kernel says who is at the other end.
"""

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import h11
import structlog
import trio
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope

from cqox.tasks import open_task_group
from services.http.admin_socket import AdminSocketUnusable, open_admin_socket
from services.http.app import App
from services.http.middleware import headers_of_refusal, log_refusal, request_id_from
from services.http.problems import refused

__all__ = ["serve_admin_socket"]

_log = structlog.stdlib.get_logger("cqox.admin")

_CONNECTIONS = 16
_SECONDS = 30.0
_HEAD_BYTES = 2**14
_CHUNK_BYTES = 2**16
_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


@asynccontextmanager
async def serve_admin_socket(app: App, path: Path) -> AsyncIterator[None]:
    """Serve an app at a unix socket for as long as the block runs; without one where it cannot be made.

    Args:
        app: what to serve; its `title` is the name in the log lines.
        path: the file of the socket.
    """
    try:
        opened = await trio.to_thread.run_sync(open_admin_socket, path)
    except AdminSocketUnusable as error:
        _log.warning(f"[{app.title}] {error}. The service goes on without it.")
        yield
        return
    try:
        if opened.note:
            _log.warning(f"[{app.title}] {opened.note}: the admin socket is {opened.path}")
        else:
            _log.info(f"[{app.title}] Admin socket at {opened.path}")
        async with open_task_group("admin socket", detached=True) as group:
            group.start_soon(_serve, app, opened.listening)
            yield
            group.cancel_scope.cancel()
    finally:
        opened.close()


async def _serve(app: App, listening: socket.socket) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    handler = partial(_serve_connection, app, trio.CapacityLimiter(_CONNECTIONS))
    try:
        await trio.serve_listeners(handler, [listener])
    except Exception:  # noqa: BLE001 - without its admin socket the service still serves
        _log.exception("the admin socket failed")


async def _serve_connection(app: App, places: trio.CapacityLimiter, stream: trio.SocketStream) -> None:
    try:
        async with stream, places:
            if not _may_steer(stream.socket):
                return
            with trio.move_on_after(_SECONDS):
                await _Exchange(app, stream).run()
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        # The client has left.
        return
    except Exception:  # noqa: BLE001 - the root of a connection: its failure ends nothing but itself
        _log.exception("a connection to the admin socket failed")


def _may_steer(one: trio.socket.SocketType) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = _CREDENTIALS.unpack(one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in (_ROOT, os.geteuid())


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: App, stream: trio.SocketStream) -> None:
        self._app = app
        self._stream = stream
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self._method = b""
        self._body: bytes | None = None

    async def run(self) -> None:
        try:
            read = await self._read()
            if read is None:
                return
            request, self._body = read
            if not request.target.startswith(b"/"):
                await self._refuse(HTTPStatus.BAD_REQUEST, "The target of the request must be a path.")
                return
            self._method = request.method
        except h11.RemoteProtocolError as error:
            await self._refuse(HTTPStatus(error.error_status_hint), "What came is no HTTP/1.1 request.")
            return
        await self._app(_scope(request), self._receive, self._send)

    async def _read(self) -> tuple[h11.Request, bytes] | None:
        request: h11.Request | None = None
        body = b""
        most = self._app.settings.max_body_bytes
        while True:
            event = self._wire.next_event()
            if event is h11.NEED_DATA:
                if self._wire.they_are_waiting_for_100_continue:
                    await self._put(h11.InformationalResponse(status_code=100, headers=[]))
                self._wire.receive_data(await self._stream.receive_some(_CHUNK_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            if request is not None and (isinstance(event, h11.EndOfMessage) or len(body) > most):
                # One byte more than is accepted is enough for the app to refuse it.
                return request, body
            if isinstance(event, h11.ConnectionClosed):
                return None

    async def _receive(self) -> ASGIReceiveEvent:
        if self._body is None:
            # That the client has left is noticed when the answer is sent: there is little to compute.
            await trio.sleep_forever()
        body, self._body = self._body, None
        return cast("ASGIReceiveEvent", {"type": "http.request", "body": body, "more_body": False})

    async def _send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            headers = [(name, value) for name, value in event["headers"] if name.lower() != b"connection"]
            await self._put(h11.Response(status_code=event["status"], headers=[*headers, (b"connection", b"close")]))
        elif event["type"] == "http.response.body":
            if event["body"] and self._method != b"HEAD":
                await self._put(h11.Data(data=event["body"]))
            if not event["more_body"]:
                await self._put(h11.EndOfMessage())

    async def _refuse(self, status: HTTPStatus, detail: str) -> None:
        request_id = request_id_from(None)
        log_refusal("- -", status, detail, request_id=request_id, client=None)
        body = refused(status, detail, instance="", request_id=request_id)
        with suppress(h11.LocalProtocolError):
            await self._put(h11.Response(status_code=status, headers=headers_of_refusal(request_id, len(body))))
            await self._put(h11.Data(data=body))
            await self._put(h11.EndOfMessage())

    async def _put(self, event: h11.Event) -> None:
        data = self._wire.send(event)
        if data:
            # Who has left gets no answer, which is no failure of the app.
            with suppress(trio.BrokenResourceError):
                await self._stream.send_all(data)


def _scope(request: h11.Request) -> HTTPScope:
    path, _, query = request.target.partition(b"?")
    return cast(
        "HTTPScope",
        {
            "type": "http",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "http_version": request.http_version.decode("ascii"),
            "method": request.method.decode("ascii").upper(),
            "scheme": "http",
            "path": unquote(path.decode("latin1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(bytes(name), bytes(value)) for name, value in request.headers],
            "client": None,
            "server": None,
            "state": {},
            "extensions": {},
        },
    )
