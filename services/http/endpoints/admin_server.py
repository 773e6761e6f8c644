"""Serve the administration paths on the admin socket.

Separate from the server of the port, so that an operator can connect while that one is at its connection limit.
Authorization is by the socket file's mode, which admits only its owner, and by the peer credentials of the kernel.
"""

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import structlog
import trio

from cqox.tasks import open_task_group
from cqox.threads import run_in_thread
from services.http.endpoints.admin_socket import AdminSocketUnusable, open_admin_socket
from services.http.server.app import App
from services.http.server.connection_limits import ConnectionLimits
from services.http.server.http1 import Application, Http1Connection

__all__ = ["serve_admin_socket"]

_log = structlog.stdlib.get_logger("cqox.admin")

_CONNECTIONS = 16
_KEEP_ALIVE_SECONDS = 5.0
_SCOPE = {
    "asgi": {"spec_version": "2.1", "version": "3.0"},
    "scheme": "http",
    "root_path": "",
    "client": None,
    "server": None,
    "state": {},
}
_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


@asynccontextmanager
async def serve_admin_socket(app: App, path: Path) -> AsyncIterator[None]:
    """Serve an app at a unix socket while the block runs; log a warning and go on where it cannot be created.

    Args:
        app: the app; its `title` is the name in the log lines.
        path: the file of the socket.
    """
    try:
        opened = await run_in_thread(partial(open_admin_socket, path, data_dir=app.settings.data_dir))
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
    limits = ConnectionLimits(most=_CONNECTIONS)
    try:
        await trio.serve_listeners(partial(_serve_connection, app, limits), [listener])
    except Exception:  # noqa: BLE001 - without its admin socket the service still serves
        _log.exception("the admin socket failed")


async def _serve_connection(app: App, limits: ConnectionLimits, stream: trio.SocketStream) -> None:
    place = limits.admit("")
    try:
        async with stream:
            if place is None or not _may_steer(stream.socket):
                return
            with place.scope:
                await Http1Connection(
                    cast("Application", app),
                    stream,
                    scope=_SCOPE,
                    headers=list,
                    place=place,
                    keep_alive_seconds=_KEEP_ALIVE_SECONDS,
                    closing=app.lifecycle.drained.is_set,
                ).serve()
    except* Exception:  # noqa: BLE001 - the root of a connection: a failure closes only this connection
        _log.exception("a connection to the admin socket failed")
    finally:
        if place is not None:
            limits.leave(place)


def _may_steer(one: trio.socket.SocketType) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = _CREDENTIALS.unpack(one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in (_ROOT, os.geteuid())
