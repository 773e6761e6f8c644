"""The request's body as it arrives, in a bounded buffer: a slow reader slows the client and costs no memory.

Quart's own body is an unbounded queue: a client can fill the memory as fast as its network allows.
"""

from collections import deque
from collections.abc import Generator
from functools import cached_property
from typing import Any, Self, cast

import trio
from quart import request
from quart.wrappers.base import ClientDisconnectedError
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

from cqox.resilience.propagation.http import CRITICALITY, ENVOY_TIMEOUT_MS, REQUEST_TIMEOUT_MS, RETRY_ATTEMPT
from services.http.request.propagation import EXCHANGE, Received, is_exchange
from services.http.request.request_ids import request_id_from

__all__ = ["IncomingBody", "IncomingRequest", "current_request"]

_HIGH_WATER_BYTES = 2**20
_SMALL_BYTES = 2**14
_MERGED_BYTES = 2**16
_CALL_FIELDS = frozenset(
    name.lower().encode() for name in (REQUEST_TIMEOUT_MS, ENVOY_TIMEOUT_MS, RETRY_ATTEMPT, CRITICALITY)
)


class IncomingBody(TrioBody):
    """Chunks of a body, in order; iterate over it, or await it for the whole.

    Small pieces that nobody has taken yet become one, so that a body that comes byte by byte is no million of chunks.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(None, None)
        self._chunks: deque[bytes | bytearray] = deque()
        self._held = 0
        self._wanted = 1
        self._filled = trio.Event()
        self._ended = False
        self._gone = False
        self._discarding = False
        self._moved = trio.Event()

    def has(self, size_bytes: int) -> bool:
        """Whether so many bytes, or the last ones, are there without waiting."""
        return self._held >= size_bytes or self.ended

    @property
    def ended(self) -> bool:
        """Whether the client has sent the whole body, or is gone."""
        return self._ended or self._gone

    async def put(self, data: bytes) -> None:
        """Take a chunk from the connection; wait while the buffer is full."""
        while self._held >= _HIGH_WATER_BYTES and not self._discarding:
            await self._moved.wait()
        if data and not self._discarding:
            self._hold(data)
        self._move()

    def set_complete(self) -> None:
        """Say that no chunk will follow."""
        self._ended = True
        self._move()

    def disconnect(self) -> None:
        """Say that the client is gone."""
        self._gone = True
        self._move()

    def set_result(self, data: bytes) -> None:
        """Give the whole body at once."""
        if data:
            self._hold(data)
        self.set_complete()

    def clear(self) -> None:
        """Forget the body once it was awaited."""
        self._data = b""

    def discard(self) -> None:
        """Drop what has arrived and what will, so that nobody waits for a reader that has left."""
        self._discarding = True
        self._chunks.clear()
        self._held = 0
        self._move()

    async def wait_ended(self) -> None:
        """Return when the client has sent all, or is gone."""
        while not self.ended:
            await self._moved.wait()

    async def wait_for(self, size_bytes: int) -> None:
        """Return when so many bytes can be taken, or no more will come; one task at a time.

        Args:
            size_bytes: fewer than what is held before the client has to wait.
        """
        while not self.has(size_bytes):
            self._wanted, self._filled = size_bytes, trio.Event()
            await self._filled.wait()

    async def wait_moved(self) -> None:
        """Return when the client has sent something more, or is gone."""
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
    """Whether it is for a host that is none of ours, so that its answer says nothing of this service."""
    received: Received | None = None
    """What came, once the body was read to its end."""

    @cached_property
    def request_id(self) -> str:
        """What the client, the gateway and the engine call this request."""
        return request_id_from(self.headers.get("X-Request-Id"))

    @cached_property
    def exchange(self) -> str | None:
        """What a gateway calls this exchange; None where no gateway asks, or what it says is no such name."""
        value = self.headers.get(EXCHANGE)
        return value if is_exchange(value) else None

    @property
    def call_fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields that say something of the call that the request is part of; most requests have none."""
        return [(name, value) for name, value in self.scope["headers"] if name in _CALL_FIELDS]

    @property
    def wants_events(self) -> bool:
        """Whether the client would rather have Server-Sent Events than JSON."""
        # To weigh what is accepted costs more than all policies, and hardly any client names such a type.
        if "text/" not in self.headers.get("Accept", "").lower():
            return False
        return self.accept_mimetypes.best_match(["application/json", "text/event-stream"]) == "text/event-stream"


def current_request() -> IncomingRequest:
    """The request that the calling handler answers."""
    return cast("IncomingRequest", request._get_current_object())
