"""Serving an app from its first connection to its drain.

Connections are Hypercorn's, with what it lacks: one whose client has closed it ends at once, where Hypercorn keeps it
for as long as an idle one; and what cannot be read as HTTP is answered by a problem and leaves a line in the log.

The order of a drain, each step logged once it is true: the signal; 'not ready' while load balancers look away; the
listening sockets closed; the requests in flight finished, or cut at the end of the grace; the app closed. The bounds
nest: grace, then Hypercorn's own grace, then a hard stop that needs no cooperation from the event loop.
"""

import logging
import math
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, cast

import h11
import hypercorn.trio
import hypercorn.trio.run
import structlog
import trio
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.utils import LifespanFailureError

from cqox.tasks import TaskGroup, open_task_group
from services.http.app import App
from services.http.middleware import headers_of_refusal, log_refusal, request_id_from
from services.http.problems import refused
from services.http.sockets import listen, sever, url_of
from services.http.tracing import begin_telemetry

__all__ = ["KEEP_ALIVE_SECONDS", "serve"]

KEEP_ALIVE_SECONDS = 65.0
"""How long an idle connection is kept; clients of ours keep theirs for less."""

_SERVER_EXTRA_SECONDS = 2.0
_SEVER_EXTRA_SECONDS = 0.5
_HARD_EXTRA_SECONDS = 5.0
_AT_ONCE_SECONDS = 1.0
_LISTENERS_SECONDS = 0.25
_POLL_SECONDS = 0.005
_MOMENT_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.001
_LONGEST_LOOK_SECONDS = 0.02
_HEAD_BYTES = 2**13
_FULL_EVERY_SECONDS = 10.0
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,20}) ([!-~]{1,2000})")
_REQUEST_ID = re.compile(rb"\r?\nx-request-id:[ \t]*([!-~]{1,128})", re.IGNORECASE)


def serve(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    sockets: Sequence[socket.socket] | None = None,
    drain_seconds: float = 30.0,
    drain_delay: float = 0.0,
    notes: Sequence[str] = (),
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once.

    Args:
        app: what to serve; its `title` is the name in the log lines.
        host: where to listen, unless `sockets` are given.
        port: where to listen, unless `sockets` are given; 0 takes a free one.
        sockets: listening sockets, which are owned and closed here.
        drain_seconds: how long requests in flight may take to finish once the sockets are closed.
        drain_delay: seconds between the signal and the closing of the sockets.
        notes: what to log at the start.

    Returns:
        The exit status: 0 where nothing was cut, 1 where a request was or where the app failed.

    Raises:
        AddressUnusable: nothing can listen there.
    """
    _raise_descriptor_limit()
    owned = tuple(sockets) if sockets is not None else listen(host, port)
    server = _Server(app, owned, drain_seconds=drain_seconds, drain_delay=drain_delay)
    for note in notes:
        structlog.stdlib.get_logger("cqox.serving").warning(note)
    # Around the loop, whose first tasks begin before the app does and whose last ones end after it.
    app.telemetry = begin_telemetry(app.title, app.settings)
    try:
        return trio.run(server.run, strict_exception_groups=True)
    finally:
        app.telemetry.stop()


class _Config(Config):
    def __init__(self, sockets: Sequence[socket.socket], *, grace: float) -> None:
        super().__init__()
        self._listening = list(sockets)
        self.graceful_timeout = grace
        self.keep_alive_timeout = KEEP_ALIVE_SECONDS
        self.keep_alive_max_requests = 1_000_000
        self.include_server_header = False
        self.accesslog = None
        self.errorlog = None

    def create_sockets(self) -> Sockets:
        return Sockets([], self._listening, [])


class _Http1(H11Protocol):
    """HTTP/1.1 of one connection, whose refusals are problems."""

    _head = b""

    async def handle(self, event: Event) -> None:
        if self.stream is None and isinstance(event, RawData):
            self._head = (self._head + event.data)[:_HEAD_BYTES]
        await super().handle(event)

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


class _Connection(TCPServer):
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
        made = self.protocol
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
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
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


# Hypercorn has no other place where it can be told what serves a connection.
hypercorn.trio.run.TCPServer = _Connection  # type: ignore[attr-defined]


class _OneLine(logging.Filter):
    """Tells now and then, without a traceback, that connections have to wait: Trio tries again ten times a second."""

    _told_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        if record.exc_info is None:
            return True
        now = time.monotonic()
        if now - self._told_at < _FULL_EVERY_SECONDS:
            return False
        self._told_at = now
        record.exc_info = None
        return True


logging.getLogger("trio.serve_listeners").addFilter(_OneLine())


def _raise_descriptor_limit() -> None:
    # Every connection takes a descriptor, and the soft limit is often the 1,024 of programs that use select().
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Server:
    def __init__(self, app: App, sockets: Sequence[socket.socket], *, drain_seconds: float, drain_delay: float) -> None:
        self._app = app
        self._sockets = sockets
        self._ports = frozenset(one.getsockname()[1] for one in sockets)
        self._drain_seconds = drain_seconds
        self._drain_delay = drain_delay
        self._stop = trio.Event()
        self._log = structlog.stdlib.get_logger("cqox.serving")

    async def run(self) -> int:
        config = _Config(self._sockets, grace=self._drain_seconds + _SERVER_EXTRA_SECONDS)
        urls = ", ".join(url_of(one) for one in self._sockets)
        async with open_task_group("serving") as group:
            group.start_soon(self._watch_failure)
            await group.start(self._watch_signals, group)
            self._say("Listening on %s", urls)
            try:
                await hypercorn.trio.serve(self._app, config, shutdown_trigger=self._stop.wait)
            except* LifespanFailureError as errors:
                self._app.lifecycle.failure = errors
            group.cancel_scope.cancel()
        return 1 if self._app.in_flight.cut or self._app.lifecycle.failure is not None else 0

    async def _watch_failure(self) -> None:
        await self._app.lifecycle.failed.wait()
        self._app.lifecycle.draining.set()
        self._app.lifecycle.drained.set()
        self._arm(self._drain_seconds + _HARD_EXTRA_SECONDS)
        self._stop.set()

    async def _watch_signals(
        self, group: TaskGroup, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                if self._app.lifecycle.draining.is_set():
                    self._end_at_once(name)
                self._say("Received signal %s, initiating shutdown...", name)
                self._app.lifecycle.draining.set()
                self._arm(self._drain_delay + self._drain_seconds + _HARD_EXTRA_SECONDS)
                group.start_soon(self._drain)

    async def _drain(self) -> None:
        await trio.sleep(self._drain_delay)
        self._stop.set()
        # Hypercorn closes them and tells nobody.
        while any(one.fileno() != -1 for one in self._sockets):  # noqa: ASYNC110
            await trio.sleep(_POLL_SECONDS)
        self._say("Stopped accepting new requests")
        self._say("Waiting for in-flight requests...")
        with trio.move_on_after(self._drain_seconds):
            await self._app.in_flight.wait_idle()
        left = self._app.in_flight.cut_background()
        with trio.move_on_after(_LISTENERS_SECONDS):
            await self._app.in_flight.wait_idle()
        left += self._app.in_flight.cut_all()
        if left:
            self._say("%d requests were cut after %g s: %s", len(left), self._drain_seconds, ", ".join(left))
        self._say("Shutting down gracefully...")
        self._app.lifecycle.drained.set()
        # By now Hypercorn has cancelled what it can; what still has a connection is held by a peer that does not read.
        await trio.sleep(_SERVER_EXTRA_SECONDS + _SEVER_EXTRA_SECONDS)
        sever(self._ports)

    def _end_at_once(self, name: str) -> NoReturn:
        self._say("Received signal %s again, ending at once: %d requests cut", name, len(self._app.in_flight))
        _exit()

    def _arm(self, seconds: float) -> None:
        # A thread, because a peer that stops reading holds Hypercorn in a shielded send, and a handler may hold the
        # loop: neither can be cancelled.
        timer = threading.Timer(seconds, self._stop_hard)
        timer.daemon = True
        timer.start()

    def _stop_hard(self) -> None:
        self._say("Still not ended after the grace: stopping hard, %d requests cut", len(self._app.in_flight))
        _exit()

    def _say(self, message: str, *args: object) -> None:
        self._log.info(f"[{self._app.title}] {message}", *args)


def _exit() -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
