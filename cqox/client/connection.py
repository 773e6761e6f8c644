"""Requests of one client to its server, under its policies."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Self

import anyio.lowlevel
import httpx
from anyio import to_thread

from cqox.client.access_tokens import AccessTokens
from cqox.client.address import Server
from cqox.client.answers import Answer, checked, refusal, version_of_client
from cqox.client.failures import translated
from cqox.client.policies import ServerPolicies
from cqox.contract.messages import LANGUAGES
from cqox.resilience import deadline, propagate

__all__ = ["Call", "Connection", "open_http"]

_CONNECT_SECONDS = 5.0
_WRITE_SECONDS = 30.0
_PARSE_SECONDS = 900.0
"""Bound on the answer to an upload, in seconds; the server's own, which it grants from the last byte on, is below."""

_SILENCE_SECONDS = 45.0
"""Bound on the pause in an event stream, in seconds: three of its signs of life."""

# Below the server's keep-alive timeout of 65 s: the side that sends requests must be the one that closes first.
_KEEP_ALIVE_SECONDS = 30.0
_CONNECTIONS = httpx.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=_KEEP_ALIVE_SECONDS)
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request.

    Attributes:
        method: the HTTP method.
        path: below the address of the server, percent-encoded.
        query: parameters by name.
        headers: fields of this request alone.
        content: the body.
        seconds: time for the answer, retries included; None for that of the server's calls.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    seconds: float | None = None


class Connection:
    """The connections of one client; they open at the first request, in any event loop, and again after a fork.

    Args:
        server: the server.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._policies = ServerPolicies(server.url)
        self._http: httpx.AsyncClient | None = None
        self._tokens: AccessTokens | None = None
        self._owner: object = None

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Server) -> AsyncIterator[Self]:
        """Yield the connections to a server, and close them."""
        made = cls(server)
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await made.aclose()

    async def aclose(self) -> None:
        """Close all connections; the next request opens others."""
        http, self._http = self._http, None
        if http is not None and self._owner == _owner():
            await http.aclose()

    async def send(self, call: Call, *, retries: bool = True, attempted: Callable[[], None] | None = None) -> Answer:
        """Return the answer to a request.

        Args:
            call: the request.
            retries: whether failures that may pass are repeated.
            attempted: called before each attempt.

        Raises:
            CqoxError: the error that the server answers, or why there is no answer.
        """
        policies = self._policies
        policy = policies.once if not retries else policies.call if call.seconds is None else policies.long
        with translated(self.server), deadline(self.server.timeout if call.seconds is None else call.seconds):
            return await policy.call(self._exchange, call, attempted)

    async def upload(self, call: Call, file: BinaryIO, sent: Callable[[int], None]) -> Answer:
        """Send a file as the body of a request, from its beginning in every attempt.

        Args:
            call: the request.
            file: open for reading bytes.
            sent: called with the number of bytes that have been sent.

        Raises:
            CqoxError: as `send`.
        """
        with translated(self.server):
            return await self._policies.long.call(self._transfer, call, file, sent)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the body of an answer as it arrives; a long silence is the loss of the connection.

        Raises:
            CqoxError: as `send`.
        """
        with translated(self.server):
            with deadline(self.server.timeout):
                response = await self._policies.once.call(self._begin, call)
            chunks = response.aiter_bytes()
            try:
                yield chunks
            finally:
                with anyio.CancelScope(shield=True), suppress(httpx.HTTPError, httpx.StreamError):
                    await _end(chunks)
                    await response.aclose()

    async def _exchange(self, call: Call, attempted: Callable[[], None] | None) -> Answer:
        if attempted is not None:
            attempted()

        async def make() -> httpx.Request:
            return self._request(call)

        response, content = await _read(await self._respond(make, stream=True))
        return checked(response, self.server, call.path, sent=content)

    async def _transfer(self, call: Call, file: BinaryIO, sent: Callable[[int], None]) -> Answer:
        timeout = httpx.Timeout(_WRITE_SECONDS, connect=_CONNECT_SECONDS, read=_PARSE_SECONDS)

        async def make() -> httpx.Request:
            await to_thread.run_sync(file.seek, 0)
            return self._request(call, content=_Blocks(file, sent), timeout=timeout)

        response, content = await _read(await self._respond(make, stream=True))
        return checked(response, self.server, call.path, sent=content)

    async def _begin(self, call: Call) -> httpx.Response:
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)

        async def make() -> httpx.Request:
            return self._request(call, timeout=timeout)

        response = await self._respond(make, stream=True)
        if not response.is_success:
            try:
                await response.aread()
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            raise refusal(response, self.server, call.path)
        return response

    async def _respond(self, make: Callable[[], Awaitable[httpx.Request]], *, stream: bool = False) -> httpx.Response:
        """Send a request with the present access token; once more with another where that one is refused."""
        http = self._client()
        if self._tokens is None:
            return await http.send(await make(), stream=stream)
        token = await self._tokens.current()
        response = await _send_as(http, await make(), token, stream=stream)
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return response
        try:
            await response.aread()
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        other = await self._tokens.replace(token)
        if other == token:
            return response
        return await _send_as(http, await make(), other, stream=stream)

    def _request(
        self, call: Call, *, content: "bytes | _Blocks | None" = None, timeout: httpx.Timeout | None = None
    ) -> httpx.Request:
        return self._client().build_request(
            call.method,
            f"{self.server.url}{call.path}",
            params=call.query or None,
            headers=dict(call.headers),
            content=call.content if content is None else content,
            timeout=timeout or httpx.Timeout(None, connect=_CONNECT_SECONDS),
        )

    def _client(self) -> httpx.AsyncClient:
        owner = _owner()
        if self._http is None or self._owner != owner:
            # Connections of another loop, or of the parent of this process, cannot be used and not be closed.
            self._http, self._owner = open_http(self.server), owner
            grant = self.server.grant
            self._tokens = None if grant is None else AccessTokens(grant, self.server.url, self._client)
        return self._http


class _Blocks:
    """A file as blocks. Not a generator: an abandoned one would be finalised by the garbage collector."""

    def __init__(self, file: BinaryIO, sent: Callable[[int], None]) -> None:
        self._file = file
        self._note = sent
        self._sent = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._note(self._sent)
        block = await to_thread.run_sync(self._file.read, _BLOCK_BYTES)
        if not block:
            raise StopAsyncIteration
        self._sent += len(block)
        return block


async def _read(response: httpx.Response) -> tuple[httpx.Response, bytes | None]:
    """Return a response that was read completely, and the bytes that were sent if its content coding hides them."""
    coded = response.headers.get("Content-Encoding", "identity") != "identity"
    try:
        if not coded or response.is_stream_consumed:
            await response.aread()
            return response, None
        sent = b"".join([data async for data in response.aiter_raw()])
    finally:
        with anyio.CancelScope(shield=True), suppress(httpx.HTTPError, httpx.StreamError):
            await response.aclose()
    # Made of its content, it decodes that.
    request, headers = response.request, response.headers
    return httpx.Response(response.status_code, headers=headers, content=sent, request=request), sent


async def _end(chunks: AsyncIterator[bytes]) -> None:
    """End the generators of the transport below a body that was not read completely, by a cancellation."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass


async def _send_as(http: httpx.AsyncClient, request: httpx.Request, token: str, *, stream: bool) -> httpx.Response:
    request.headers["Authorization"] = f"Bearer {token}"
    return await http.send(request, stream=stream)


def _owner() -> object:
    return os.getpid(), anyio.lowlevel.current_token()


def open_http(server: Server) -> httpx.AsyncClient:
    """Return an HTTP client of a server, with the fields of every request."""
    own = {"User-Agent": f"cqox/{version_of_client()}", "Accept-Language": LANGUAGES[0]}
    return httpx.AsyncClient(
        headers={**own, **server.headers},
        # Without encryption no authorities are needed, which take a while to load. `SSL_CERT_FILE` holds on this
        # machine as well, where variables of proxies do not.
        verify=server.tls or (httpx.create_ssl_context() if server.is_secure else False),
        trust_env=not server.is_loopback,
        limits=_CONNECTIONS,
        event_hooks={"request": [propagate]},
        transport=server.transport,
    )
