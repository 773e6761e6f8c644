"""Serving of an app from the first connection to the end of its drain.

The order of a drain, each step logged once it is done: the signal; 'not ready' while load balancers stop sending; the
listening sockets closed; the requests in flight finished, or cancelled at the end of the grace period; the app closed.
The bounds nest: grace period, then Hypercorn's own grace period, then a hard stop that needs no cooperation from the
event loop.
"""

import logging
import math
import os
import resource
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import hypercorn.trio
import structlog
import trio
from hypercorn.config import Config, Sockets
from hypercorn.utils import LifespanFailureError

from cqox import clock
from cqox.contract import counted
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry import metric_definitions, metrics
from services.http.observability.logs import flush_logs
from services.http.server.app import App
from services.http.server.connection_limits import ConnectionLimits
from services.http.server.hypercorn_patches import serve_connections
from services.http.server.sockets import listen, reset_connections, url_of
from services.http.server.telemetry import begin_telemetry

__all__ = ["KEEP_ALIVE_SECONDS", "raise_descriptor_limit", "serve"]

KEEP_ALIVE_SECONDS = 65.0
"""Keep-alive timeout; the gateway's client uses a shorter one."""

_SERVER_EXTRA_SECONDS = 2.0
_SEVER_EXTRA_SECONDS = 0.5
_HARD_EXTRA_SECONDS = 5.0
_AT_ONCE_SECONDS = 1.0
_LISTENERS_SECONDS = 1.0
_POLL_SECONDS = 0.005
_FULL_EVERY_SECONDS = 10.0


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
    """Serve until SIGTERM or SIGINT, then drain; a second signal stops at once.

    Args:
        app: the app; its `title` is the name in the log lines.
        host: host to listen on, unless `sockets` are given.
        port: port to listen on, unless `sockets` are given; 0 chooses a free one.
        sockets: listening sockets, which are owned and closed here.
        drain_seconds: grace period of requests in flight once the sockets are closed.
        drain_delay: seconds between the signal and the closing of the sockets.
        notes: sentences to log at the start.

    Returns:
        The exit status: 0 where all requests finished, 1 where one was cancelled or the app failed.

    Raises:
        AddressUnusable: the service cannot listen on the address.
    """
    raise_descriptor_limit()
    settings = app.settings
    most_per_client = 0 if app.clients_are_gateways else settings.connections_per_client
    limits = ConnectionLimits(most=settings.max_connections, most_per_client=most_per_client)
    serve_connections(limits, app.tls)
    owned = tuple(sockets) if sockets is not None else listen(host, port)
    server = _Server(app, owned, drain_seconds=drain_seconds, drain_delay=drain_delay)
    for note in notes:
        structlog.stdlib.get_logger("cqox.serving").warning(note)
    # Around the event loop, whose first tasks start before the app and whose last ones end after it.
    app.telemetry = begin_telemetry(app.title, settings)
    app.telemetry.until_stopped(metrics.watch(metric_definitions.CONNECTIONS, lambda: [(len(limits), {})]))
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
        self.alpn_protocols = ["http/1.1"]
        self.include_server_header = False
        self.accesslog = None
        self.errorlog = None

    def create_sockets(self) -> Sockets:
        return Sockets([], self._listening, [])


class _AcceptErrorFilter(logging.Filter):
    """A log filter that reports failing accepts at a limited rate: Trio retries them ten times a second."""

    _reported_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        if record.exc_info is None:
            return True
        now = clock.monotonic()
        if now - self._reported_at < _FULL_EVERY_SECONDS:
            return False
        self._reported_at = now
        record.exc_info = None
        return True


logging.getLogger("trio.serve_listeners").addFilter(_AcceptErrorFilter())


def raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors to the hard one."""
    # Every connection needs a descriptor, and the soft limit is often 1,024, for programs that use select().
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
        scheme = "http" if self._app.tls is None else "https"
        urls = ", ".join(url_of(one, scheme=scheme) for one in self._sockets)
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
        # Hypercorn closes the sockets without an event.
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
            cut = f"{counted(len(left), 'request')} {'was' if len(left) == 1 else 'were'} cut"
            self._say("%s after %g s: %s", cut, self._drain_seconds, ", ".join(left))
        self._say("Shutting down gracefully...")
        self._app.lifecycle.drained.set()
        # Hypercorn has cancelled all that it can; remaining connections are held by peers that do not read.
        await trio.sleep(_SERVER_EXTRA_SECONDS + _SEVER_EXTRA_SECONDS)
        reset_connections(self._ports)

    def _end_at_once(self, name: str) -> NoReturn:
        self._say("Received signal %s again, ending at once: %s cut", name, self._in_flight())
        _exit()

    def _arm(self, seconds: float) -> None:
        # A thread, because a peer that stops reading blocks Hypercorn in a shielded send, and a handler may block the
        # event loop: neither can be cancelled.
        timer = threading.Timer(seconds, self._stop_hard)
        timer.daemon = True
        timer.start()

    def _stop_hard(self) -> None:
        self._say("Still not ended after the grace: stopping hard, %s cut", self._in_flight())
        _exit()

    def _in_flight(self) -> str:
        return counted(len(self._app.in_flight), "request")

    def _say(self, message: str, *args: object) -> None:
        self._log.info(f"[{self._app.title}] {message}", *args)


def _exit() -> NoReturn:
    flush_logs()
    os._exit(1)
