"""HTTP client of one engine: one pool of keep-alive connections for as long as the app serves.

It sends requests and returns responses byte for byte. Timeouts and retries belong to `policies`; transport errors
propagate as httpx raises them, because the policies determine from them
whether a request was sent at all.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import httpx

from cqox.contract.messages import Message
from cqox.errors import EngineUnavailable
from cqox.resilience.propagation.http import propagate
from cqox.telemetry.http_client import ClientExchange, is_probe
from services.gateway.engine_request import EngineRequest, OutgoingFields, Target
from services.gateway.tls import EngineTls
from services.gateway.transport import EngineResponse, EngineTransport, ResponseBody
from services.http.request.digests import CONTENT_DIGEST, content_digest
from services.http.request.propagation import EXCHANGE, RECEIVED, RECORDED, new_exchange
from services.http.response.checksums import CHECKSUM

__all__ = [
    "MAX_ANSWER_BYTES",
    "AnswerTooLarge",
    "Call",
    "EngineClient",
    "Headers",
    "Hop",
    "Reply",
    "ResponseContract",
    "Streamed",
    "end_to_end",
]

type Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case with their values, in order; a name may come more than once."""

type ResponseContract = Mapping[int, tuple[str, ...]]
"""Success statuses, each with the allowed media types of the body; none where there is no body."""

type Hop = Callable[[str, bytes], Headers]
"""Writes the fields that say who a request comes from, for its method and target; called for each attempt."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Default bound on a buffered response body; streamed responses have no bound."""

# Only connecting has a timeout of its own: the deadline around the call bounds the response.
_CONNECT_SECONDS = 2.0
# Below the engine's keep-alive timeout of 65 s: the side that sends requests must be the one that closes first.
_KEEP_ALIVE_SECONDS = 30.0
_KEPT_CONNECTIONS = 64
_KNOWN_TARGETS = 256

_EXCHANGE = EXCHANGE.lower().encode()
_CONTENT_DIGEST = CONTENT_DIGEST.lower().encode()
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_RECORDED = RECORDED.lower().encode()
_ONLY_HERE = frozenset({_EXCHANGE, RECEIVED.lower().encode(), CHECKSUM.lower().encode(), _RECORDED})
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class AnswerTooLarge(EngineUnavailable):
    """The response body exceeds the gateway's buffer limit; the connection is closed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(Message("problems.answer-too-large", most=max_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to the engine.

    Attributes:
        method: the HTTP method.
        target: path and query as the client sent them, still percent-encoded.
        headers: the header fields to forward to the engine.
        content: the body; a stream can be sent only once.
        contract: the success responses that are allowed; None to skip the check.
        hop: says who the request comes from; None for an operation that needs no principal.
    """

    method: str
    target: bytes
    headers: Headers = ()
    content: bytes | AsyncIterable[bytes] = b""
    contract: ResponseContract | None = None
    hop: Hop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete response of the engine.

    Attributes:
        status: the HTTP status.
        headers: the header fields to return to the client.
        body: the body as sent, without decoding its content encoding.
        framed: whether the response is delimited by length or chunks; otherwise by the end of the connection.
        attributed: whether it names the request; a failure that does not comes from an intermediary, or from an engine
            that could not parse the request.
        recorded: whether the engine records the request in its audit log.
    """

    status: int
    headers: Headers
    body: bytes
    framed: bool = True
    attributed: bool = True
    recorded: bool = False

    def header(self, name: bytes) -> str:
        """Return the value of a header, empty where it is absent."""
        return next((value.decode("latin1") for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A streamed response of the engine.

    Attributes:
        status: the HTTP status.
        headers: the header fields to return to the client.
        chunks: the body as it arrives.
        close: releases the connection; the opener of the stream calls it.
        framed: see `Reply`.
        attributed: see `Reply`.
        recorded: see `Reply`.
        max_bytes: the largest body that is buffered.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    framed: bool = True
    attributed: bool = True
    recorded: bool = False
    max_bytes: int = MAX_ANSWER_BYTES

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """Wrap a complete reply as a stream."""

        async def body() -> AsyncGenerator[bytes]:
            yield reply.body

        chunks = body()
        return cls(
            status=reply.status,
            headers=reply.headers,
            chunks=chunks,
            close=chunks.aclose,
            framed=reply.framed,
            attributed=reply.attributed,
            recorded=reply.recorded,
        )

    async def read_all(self) -> Reply:
        """Buffer the rest of the body and close the stream.

        Raises:
            AnswerTooLarge: the body is, or its Content-Length announces that it is, larger than `max_bytes`.
        """
        held, size_bytes = list[bytes](), 0
        try:
            if self._announced() > self.max_bytes:
                raise AnswerTooLarge(self.max_bytes)
            async for data in self.chunks:
                size_bytes += len(data)
                if size_bytes > self.max_bytes:
                    raise AnswerTooLarge(self.max_bytes)
                held.append(data)
        finally:
            await self.close()
        body = b"".join(held)
        return Reply(
            status=self.status,
            headers=self.headers,
            body=body,
            framed=self.framed,
            attributed=self.attributed,
            recorded=self.recorded,
        )

    def _announced(self) -> int:
        value = next((value for name, value in self.headers if name == b"content-length"), b"")
        return int(value) if value.isdigit() else 0


class EngineClient:
    """A client of one engine with one connection pool. Open it with `EngineClient.open`."""

    def __init__(self, transport: EngineTransport, url: str, *, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._transport = transport
        self._max_answer_bytes = max_answer_bytes
        self._base = httpx.URL(url)
        self._port = _port_of(self._base)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._target = lru_cache(_KNOWN_TARGETS)(self._make_target)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        address: str | None = None,
        *,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        tls: EngineTls | None = None,
    ) -> AsyncIterator[Self]:
        """Open a client of the engine at `url`; leaving the block closes its connections.

        Args:
            url: base URL of the engine.
            address: the address to connect to; None resolves the host name on each connect.
            max_answer_bytes: the largest response body that is buffered.
            tls: verifies an engine with https; by its name if None.
        """
        async with _transport(httpx.URL(url), address, tls) as transport:
            yield cls(transport, url, max_answer_bytes=max_answer_bytes)

    async def send(self, call: Call) -> Reply:
        """Send one request and read the complete response. Cancellation closes the connection and stops the engine.

        Raises:
            httpx.TransportError: the engine is unreachable, the connection broke before the end of the response, or the
                response belongs to another request.
            AnswerTooLarge: the body is larger than the buffer limit.
        """
        return await (await self.begin(call)).read_all()

    async def begin(self, call: Call) -> Streamed:
        """Send one request and wait for the response headers; the caller closes the stream.

        Raises:
            httpx.TransportError: the engine is unreachable, the connection broke, or the response is foreign.
        """
        target = self._target(call.target)
        # As the engine reads it, which is where characters that no URL may have are escaped.
        fields = OutgoingFields(_fields(call, target.raw.removeprefix(self._prefix)))
        request = EngineRequest(method=call.method, target=target, headers=fields, content=call.content)
        await propagate(request)
        body: ResponseBody | _TracedBody
        if is_probe(request.target.path):
            response = await self._transport.send(request)
            body = response.body
        else:
            response, body = await self._traced(request)
        return Streamed(
            status=response.status,
            headers=end_to_end(response.headers, without=_ONLY_HERE),
            chunks=body,
            close=body.aclose,
            framed=any(name in _FRAMING for name, _ in response.headers),
            attributed=response.attributed,
            recorded=any(name == _RECORDED for name, _ in response.headers),
            max_bytes=self._max_answer_bytes,
        )

    async def _traced(self, request: EngineRequest) -> "tuple[EngineResponse, _TracedBody]":
        exchange = ClientExchange(
            request.method,
            host=self._base.host,
            port=self._port,
            url=lambda: request.target.url,
            headers=request.headers,
        )
        try:
            response = await self._transport.send(request)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.answered(response.status)
        return response, _TracedBody(response.body, exchange)

    def _make_target(self, target: bytes) -> Target:
        return Target.of(self._base.copy_with(raw_path=self._prefix + target))


class _TracedBody:
    """A body whose end is that of the span of its request."""

    __slots__ = ("_exchange", "_inner")

    def __init__(self, inner: ResponseBody, exchange: ClientExchange) -> None:
        self._inner = inner
        self._exchange = exchange

    # Not a generator: an abandoned one would be closed only by the garbage collector.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._inner)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end()


def _fields(call: Call, target: bytes) -> list[tuple[bytes, bytes]]:
    # A new id for each attempt, sent first: an engine that cannot parse the whole head may still find it.
    own = [(_EXCHANGE, new_exchange().encode())]
    if call.content and isinstance(call.content, bytes):
        own.append((_CONTENT_DIGEST, content_digest(call.content).encode()))
    if call.hop is not None:
        own += call.hop(call.method, target)
    written = {name for name, _ in own}
    return [*own, *(field for field in call.headers if field[0] not in written)]


def _port_of(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _transport(url: httpx.URL, address: str | None, tls: EngineTls | None) -> EngineTransport:
    secure = url.scheme == "https"
    return EngineTransport(
        address or url.host,
        _port_of(url),
        authority=url.netloc,
        connect_seconds=_CONNECT_SECONDS,
        keep_seconds=_KEEP_ALIVE_SECONDS,
        kept=_KEPT_CONNECTIONS,
        tls=(tls or EngineTls()) if secure else None,
    )


def end_to_end(headers: Sequence[tuple[bytes, bytes]], *, without: frozenset[bytes] = frozenset()) -> Headers:
    """Return the end-to-end header fields: no hop-by-hop fields, and none that `Connection` names.

    Args:
        headers: field names with their values.
        without: more names to leave out, in lower case.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lowered if name == b"connection" for token in value.split(b",")}
    dropped = _HOP_BY_HOP | named | without
    return tuple((name, value) for name, value in lowered if name not in dropped)
