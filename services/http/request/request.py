"""Requests with a bounded body buffer, which applies backpressure to the client.

Quart's own body is an unbounded queue, with which a client can exhaust the memory.
"""

from collections import deque
from collections.abc import Generator
from functools import cached_property
from typing import Any, Self, cast

import trio
from hypercorn.typing import WWWScope
from quart import request
from quart.wrappers.base import ClientDisconnectedError
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

from cqox.contract.messages import Language
from cqox.resilience.propagation.http import CRITICALITY, ENVOY_TIMEOUT_MS, REQUEST_TIMEOUT_MS, RETRY_ATTEMPT
from services.http.request.language import LANGUAGE_PARAMETER, language_of
from services.http.request.propagation import EXCHANGE, Received, is_exchange
from services.http.request.request_ids import request_id_from

__all__ = ["IncomingBody", "IncomingRequest", "call_fields_of", "current_request"]

_HIGH_WATER_BYTES = 2**20
_SMALL_BYTES = 2**14
_MERGED_BYTES = 2**16
_CALL_FIELDS = frozenset(
    name.lower().encode() for name in (REQUEST_TIMEOUT_MS, ENVOY_TIMEOUT_MS, RETRY_ATTEMPT, CRITICALITY)
)


class IncomingBody(TrioBody):
    """The chunks of a body, in order; iterate over it, or await it for the complete body.

    Small unread chunks are merged, so that a body that arrives byte by byte does not become millions of chunks.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        # Not the base class's, which opens a channel for each request: all that uses it is replaced here.
        self._data: bytes | None = None
        self._chunks: deque[bytes | bytearray] = deque()
        self._held = 0
        self._wanted = 1
        self._filled = trio.Event()
        self._ended = False
        self._gone = False
        self._discarding = False
        self._moved = trio.Event()

    def has(self, size_bytes: int) -> bool:
        """Return whether a number of bytes, or the end of the body, is available without waiting."""
        return self._held >= size_bytes or self.ended

    @property
    def ended(self) -> bool:
        """True once the client has sent the complete body or disconnected."""
        return self._ended or self._gone

    async def put(self, data: bytes) -> None:
        """Add a chunk from the connection; wait while the buffer is full."""
        while self._held >= _HIGH_WATER_BYTES and not self._discarding:
            await self._moved.wait()
        if data and not self._discarding:
            self._hold(data)
        self._move()

    def set_complete(self) -> None:
        """Signal the end of the body."""
        self._ended = True
        self._move()

    def disconnect(self) -> None:
        """Signal that the client has disconnected."""
        self._gone = True
        self._move()

    def set_result(self, data: bytes) -> None:
        """Set the complete body at once."""
        if data:
            self._chunks.append(data)
            self._held += len(data)
        self.set_complete()

    def take_rest(self) -> bytes | None:
        """Return what is left of a body that has arrived completely; None while more may arrive."""
        if not self._ended or self._gone:
            return None
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        return data

    def clear(self) -> None:
        """Discard the body once it was awaited."""
        self._data = b""

    def discard(self) -> None:
        """Discard buffered and further data, so that the connection does not wait for a reader that has stopped."""
        self._discarding = True
        self._chunks.clear()
        self._held = 0
        self._move()

    async def wait_ended(self) -> None:
        """Wait until the client has sent the complete body or disconnected."""
        while not self.ended:
            await self._moved.wait()

    async def wait_for(self, size_bytes: int) -> None:
        """Wait until a number of bytes is buffered or the body has ended; for one task at a time.

        Args:
            size_bytes: below the buffer's high-water mark.
        """
        while not self.has(size_bytes):
            self._wanted, self._filled = size_bytes, trio.Event()
            await self._filled.wait()

    async def wait_moved(self) -> None:
        """Wait until the client has sent more data or disconnected."""
        await self._moved.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._ended:
                raise StopAsyncIteration
            if self._gone:
                raise ClientDisconnectedError
            await self._moved.wait()
        data = self._chunks.popleft()
        self._held -= len(data)
        self._move()
        return bytes(data)

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        if self._data is None:
            self._data = b"".join([chunk async for chunk in self])
        return self._data

    def _hold(self, data: bytes) -> None:
        self._held += len(data)
        last = self._chunks[-1] if self._chunks else None
        if len(data) >= _SMALL_BYTES:
            self._chunks.append(data)
        elif isinstance(last, bytearray) and len(last) < _MERGED_BYTES:
            last += data
        else:
            self._chunks.append(bytearray(data))

    def _move(self) -> None:
        if self._held >= self._wanted or self.ended:
            self._filled.set()
        self._moved.set()
        self._moved = trio.Event()


class IncomingRequest(TrioRequest):
    """A request whose body is an `IncomingBody`."""

    body_class = IncomingBody
    body: IncomingBody
    is_foreign = False
    """True where its host is not allowed, so that the response must not expose anything of this service."""
    client_deadline_passed = False
    """True where the response is a 504 because of a deadline that the client chose, shorter than the service's."""
    received: Received | None = None
    """Size and checksum of the body, once it was read completely."""

    @cached_property
    def request_id(self) -> str:
        """The id of this request at client, gateway and engine."""
        return request_id_from(self.headers.get("X-Request-Id"))

    @cached_property
    def exchange(self) -> str | None:
        """The gateway's exchange id; None where it is absent or malformed."""
        value = self.headers.get(EXCHANGE)
        return value if is_exchange(value) else None

    @property
    def call_fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields of the call context: timeout, attempt and criticality; most requests have none."""
        return call_fields_of(self.scope)

    @cached_property
    def language(self) -> Language:
        """The language of the response's sentences: that of the query parameter `lang`, else the preferred one."""
        asked = self.args.get(LANGUAGE_PARAMETER) if self.query_string else None
        return language_of(asked, self.headers.get("Accept-Language", ""))

    def values_of(self, name: str) -> list[str]:
        """Return the values of a header field, in order."""
        return self.headers.getlist(name)

    def text_fields(self) -> list[tuple[str, str]]:
        """Return the header fields."""
        return self.headers.to_wsgi_list()

    @property
    def wants_events(self) -> bool:
        """True if the client prefers Server-Sent Events to JSON."""
        # Content negotiation costs more than all policies, and hardly any client sends such a type.
        if "text/" not in self.headers.get("Accept", "").lower():
            return False
        return self.accept_mimetypes.best_match(["application/json", "text/event-stream"]) == "text/event-stream"


def call_fields_of(scope: WWWScope) -> list[tuple[bytes, bytes]]:
    """Return the header fields of the call context: timeout, attempt and criticality; most requests have none."""
    return [field for field in scope["headers"] if field[0] in _CALL_FIELDS]


def current_request() -> IncomingRequest:
    """Return the request of the calling handler."""
    return cast("IncomingRequest", request._get_current_object())
