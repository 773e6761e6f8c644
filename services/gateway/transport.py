"""A transport for HTTP/1.1 to one engine, with a pool of keep-alive connections.

The pool of httpx scans all connections and waiting requests whenever one is added or removed, which costs the gateway
more than all its policies. Every failure is raised as httpx's exception of that kind, because the policies determine
from it whether the request was sent. The protocol on one connection is in `connection`.

A response must belong to its request (`foreign_answers`), a body must pass the check that its headers announce
(`body_checks`), and a connection is closed at the first byte that is not part of the expected response.
"""

from collections import deque
from dataclasses import dataclass
from typing import Self, cast

import httpx
import structlog
import trio

from cqox import clock
from services.gateway.body_checks import BodyCheck, BodyMismatch, check_for
from services.gateway.connection import EngineConnection
from services.gateway.engine_request import EngineRequest
from services.gateway.foreign_answers import ForeignAnswer, is_own
from services.gateway.tls import EngineTls, connect

__all__ = ["EngineResponse", "EngineTransport", "ResponseBody"]

_log = structlog.stdlib.get_logger("cqox.gateway")

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
        self._idle: deque[EngineConnection] = deque()

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
            status, headers = head.status_code, head.headers
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

    def release(self, connection: EngineConnection) -> None:
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

    async def _connect(self, request: EngineRequest) -> EngineConnection:
        # A retry finds in it that nothing was sent.
        noted = cast("httpx.Request", request)
        with trio.move_on_after(self._connect_seconds):
            try:
                return EngineConnection(*await connect(self._host, self._port, self._tls))
            except OSError as error:
                raise httpx.ConnectError(str(error), request=noted) from error
            except trio.BrokenResourceError as error:
                why = "the connection was closed before TLS was agreed upon"
                raise httpx.ConnectError(why, request=noted) from error
        raise httpx.ConnectTimeout(f"no connection within {self._connect_seconds:g} s", request=noted)

    def _take(self) -> EngineConnection | None:
        while self._idle:
            connection = self._idle.pop()
            # Readable data on an idle connection is its end or unsolicited.
            if not self._is_stale(connection) and self._may_go_on(connection) and not connection.has_unread:
                return connection
            connection.close()
        return None

    def _is_stale(self, connection: EngineConnection) -> bool:
        return clock.monotonic() - connection.idle_since > self._keep_seconds

    def _may_go_on(self, connection: EngineConnection) -> bool:
        return self._tls is None or self._tls.allows(connection.terms)


class ResponseBody:
    """The chunks of a response body; closing it returns the connection to the pool, or closes it."""

    def __init__(
        self, connection: EngineConnection | None, transport: EngineTransport, check: BodyCheck | None
    ) -> None:
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
