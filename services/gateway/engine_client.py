"""The gateway's way to its engine: one pool of kept connections for as long as the app serves.

What lives here: what is sent and what comes back, byte for byte. What does not: how long and how often it is tried,
which is for `policies`; exceptions of the transport leave here as httpx raises them, because policies tell by them
whether a request was ever sent.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import httpx

from cqox.errors import EngineUnavailable
from cqox.resilience.propagation.http import propagate
from cqox.telemetry.http_client import TracedTransport
from services.gateway.tls import client_context
from services.gateway.transport import EngineTransport
from services.http.request.digests import CONTENT_DIGEST, content_digest
from services.http.request.propagation import EXCHANGE, RECEIVED, new_exchange
from services.http.response.checksums import CHECKSUM

__all__ = [
    "MAX_ANSWER_BYTES",
    "AnswerTooLarge",
    "Call",
    "EngineClient",
    "Headers",
    "Promise",
    "Reply",
    "Streamed",
    "end_to_end",
]

type Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case with their values, in order; a name may come more than once."""

type Promise = Mapping[int, tuple[str, ...]]
"""Good statuses, each with the media types that the body may be of; none where there is no body."""

MAX_ANSWER_BYTES = 64 * 2**20
"""The largest answer that is held whole, where nothing else is said; what comes bit by bit has no bound."""

_CONNECT_SECONDS = 2.0
# Below the 65 s for which the engine keeps a connection: the side that closes first must be the one that sends.
_KEEP_ALIVE_SECONDS = 30.0
_KEPT_CONNECTIONS = 64
_KNOWN_TARGETS = 256
# Only connecting has a bound of its own: how long an answer may take is for the deadline around the call.
_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_SECONDS).as_dict()

_EXCHANGE = EXCHANGE.lower().encode()
_CONTENT_DIGEST = CONTENT_DIGEST.lower().encode()
_ONLY_HERE = frozenset({_EXCHANGE, RECEIVED.lower().encode(), CHECKSUM.lower().encode()})
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
    """The engine sends more than the gateway would hold; the connection is closed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The engine's answer is larger than the {max_bytes:,} bytes that are held.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to ask the engine.

    Attributes:
        method: the HTTP method.
        target: path and query as the client wrote them, still percent-encoded.
        headers: those that the engine should see.
        content: the body; a stream can be sent once only.
        promise: what the answer must be where all goes well; None where that is not looked at.
    """

    method: str
    target: bytes
    headers: Headers = ()
    content: bytes | AsyncIterable[bytes] = b""
    promise: Promise | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the engine answered, whole.

    Attributes:
        status: the HTTP status.
        headers: those that a client should see.
        body: the body as it was sent, whatever its encoding.
        framed: whether the answer itself says where it ends; else the end of the connection is all that does.
    """

    status: int
    headers: Headers
    body: bytes
    framed: bool = True

    def header(self, name: bytes) -> str:
        """The value of a header, empty where there is none."""
        return next((value.decode("latin1") for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What the engine answers bit by bit.

    Attributes:
        status: the HTTP status.
        headers: those that a client should see.
        chunks: the body as it comes.
        close: gives the connection up; whoever opened the stream calls it.
        framed: see `Reply`.
        max_bytes: the largest body that is held whole.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]
    framed: bool = True
    max_bytes: int = MAX_ANSWER_BYTES

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """An answer that is there already."""

        async def told() -> AsyncGenerator[bytes]:
            yield reply.body

        chunks = told()
        return cls(status=reply.status, headers=reply.headers, chunks=chunks, close=chunks.aclose, framed=reply.framed)

    async def whole(self) -> Reply:
        """The answer with the rest of its body; the stream is closed.

        Raises:
            AnswerTooLarge: it is, or says that it will be, larger than `max_bytes`.
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
        return Reply(status=self.status, headers=self.headers, body=b"".join(held), framed=self.framed)

    def _announced(self) -> int:
        value = next((value for name, value in self.headers if name == b"content-length"), b"")
        return int(value) if value.isdigit() else 0


class EngineClient:
    """One engine, reached through one pool. Open it with `EngineClient.open`."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, url: str, *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        self._transport = transport
        self._max_answer_bytes = max_answer_bytes
        self._base = httpx.URL(url)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._address = lru_cache(_KNOWN_TARGETS)(self._make_address)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, address: str | None = None, *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> AsyncIterator[Self]:
        """A client of the engine at `url`; leaving the block closes its connections.

        Args:
            url: where it is.
            address: which of the addresses of its name to connect to; whichever answers where there is none.
            max_answer_bytes: the largest answer that is held whole.
        """
        async with TracedTransport(_transport(httpx.URL(url), address)) as transport:
            yield cls(transport, url, max_answer_bytes=max_answer_bytes)

    async def send(self, call: Call) -> Reply:
        """Send one request and read its whole answer. A cancellation closes the connection, so that the engine stops.

        Raises:
            httpx.TransportError: the engine could not be reached, or was lost before the answer was whole, or answered
                another request.
            AnswerTooLarge: the answer is larger than is held.
        """
        return await (await self.begin(call)).whole()

    async def begin(self, call: Call) -> Streamed:
        """Send one request and wait for the head of its answer; the caller closes it.

        Raises:
            httpx.TransportError: the engine could not be reached, or was lost, or answered another request.
        """
        request = httpx.Request(
            call.method,
            self._address(call.target),
            headers=_fields(call),
            content=call.content or None,
            extensions={"timeout": _TIMEOUT},
        )
        await propagate(request)
        # Without httpx's client: it would keep the cookies of one user for the next, and follow what is not for it.
        response = await self._transport.handle_async_request(request)
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return Streamed(
            status=response.status_code,
            headers=end_to_end(response.headers.raw, without=_ONLY_HERE),
            chunks=aiter(stream),
            close=stream.aclose,
            framed="content-length" in response.headers or "transfer-encoding" in response.headers,
            max_bytes=self._max_answer_bytes,
        )

    def _make_address(self, target: bytes) -> httpx.URL:
        return self._base.copy_with(raw_path=self._prefix + target)


def _fields(call: Call) -> list[tuple[bytes, bytes]]:
    # Of this attempt alone, and near the beginning: an engine that cannot read all of the head may yet find it.
    own = [(_EXCHANGE, new_exchange().encode())]
    if call.content and isinstance(call.content, bytes):
        own.append((_CONTENT_DIGEST, content_digest(call.content).encode()))
    written = {name for name, _ in own}
    return [*own, *(field for field in call.headers if field[0] not in written)]


def _transport(url: httpx.URL, address: str | None) -> httpx.AsyncBaseTransport:
    secure = url.scheme == "https"
    return EngineTransport(
        address or url.host,
        url.port or (443 if secure else 80),
        connect_seconds=_CONNECT_SECONDS,
        keep_seconds=_KEEP_ALIVE_SECONDS,
        kept=_KEPT_CONNECTIONS,
        tls=client_context() if secure else None,
    )


def end_to_end(headers: Sequence[tuple[bytes, bytes]], *, without: frozenset[bytes] = frozenset()) -> Headers:
    """The headers that are meant for the far end: not for this hop, and none that `Connection` names.

    Args:
        headers: names with their values.
        without: more names to leave out, in lower case.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lowered if name == b"connection" for token in value.split(b",")}
    dropped = _HOP_BY_HOP | named | without
    return tuple((name, value) for name, value in lowered if name not in dropped)
