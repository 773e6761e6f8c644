"""The proxy: a listener, and two directions for each connection that read the present conditions for each piece."""

import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import trio

from cqox.chaos.proxy.conditions import Conditions
from cqox.chaos.proxy.requests import RequestHeads

__all__ = ["FaultProxy", "open_proxy"]

_PIECE_BYTES = 65536
_SLOW_PIECE_BYTES = 1024
_PIECES = 64
"""Pieces on their way in one direction; beyond it the sender waits, as with a full window."""

_AT_ONCE = struct.pack("ii", 1, 0)
_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)

type Direction = Literal["to", "from"]


@dataclass(eq=False)
class _Connection:
    client: trio.SocketStream
    target: trio.SocketStream
    scope: trio.CancelScope
    heads: RequestHeads = field(default_factory=RequestHeads)
    delivered: int = 0

    def reset(self) -> None:
        """End both sides by a reset, not by an end of data."""
        for stream in (self.client, self.target):
            with suppress(OSError):
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                stream.socket.close()
        self.scope.cancel()


class FaultProxy:
    """A proxy on loopback to one target.

    Attributes:
        port: where it listens; it stays the same while connections are refused.
        accepted: number of connections that were accepted.
        reset: number of connections that it has reset.
        corrupted: number of bytes that it has changed.
        replaced: number of requests that it has aborted, delayed or answered itself.
    """

    def __init__(self, host: str, port: int, nursery: trio.Nursery, generator: random.Random) -> None:
        """Prepare a proxy; `open_proxy` makes one that listens.

        Args:
            host: of the target.
            port: of the target.
            nursery: where connections are served.
            generator: decides which pieces and requests a fault meets.
        """
        self._target = (host, port)
        self._nursery = nursery
        self._random = generator
        self._conditions = Conditions()
        self._changed = trio.Event()
        self._connections: set[_Connection] = set()
        self._listening: trio.CancelScope | None = None
        self.port = 0
        self.accepted = 0
        self.reset = 0
        self.corrupted = 0
        self.replaced = 0

    @property
    def conditions(self) -> Conditions:
        """The present conditions."""
        return self._conditions

    async def apply(self, conditions: Conditions) -> None:
        """Change the conditions, also of open connections."""
        before, self._conditions = self._conditions, conditions
        self._changed.set()
        self._changed = trio.Event()
        if conditions.refuse and not before.refuse:
            if self._listening is not None:
                self._listening.cancel()
            self.reset_all()
        elif before.refuse and not conditions.refuse:
            await self.listen()

    @asynccontextmanager
    async def under(self, conditions: Conditions) -> AsyncIterator[None]:
        """Have conditions meanwhile, and then those from before."""
        before = self._conditions
        await self.apply(conditions)
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                await self.apply(before)

    def reset_all(self) -> None:
        """Reset every open connection."""
        for connection in list(self._connections):
            self.reset += 1
            connection.reset()

    async def listen(self) -> None:
        """Listen on the port; on any free one the first time."""
        listener = trio.socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await listener.bind(("127.0.0.1", self.port))
        listener.listen(1024)
        self.port = int(listener.getsockname()[1])
        self._listening = trio.CancelScope()
        self._nursery.start_soon(self._accept, listener, self._listening)

    async def _accept(self, listener: trio.socket.SocketType, scope: trio.CancelScope) -> None:
        with listener, scope:
            while True:
                client, _ = await listener.accept()
                self.accepted += 1
                self._nursery.start_soon(self._serve, trio.SocketStream(client))

    async def _serve(self, client: trio.SocketStream) -> None:
        async with client:
            try:
                target = await trio.open_tcp_stream(*self._target)
            except OSError:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                return
            async with target, trio.open_nursery() as nursery:
                connection = _Connection(client, target, nursery.cancel_scope)
                self._connections.add(connection)
                try:
                    nursery.start_soon(self._carry, connection, "to")
                    await self._carry(connection, "from")
                finally:
                    self._connections.discard(connection)

    async def _carry(self, connection: _Connection, direction: Direction) -> None:
        source, sink = connection.client, connection.target
        if direction == "from":
            source, sink = sink, source
        send, receive = trio.open_memory_channel[tuple[float, bytes]](_PIECES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, connection, direction, sink, receive)
            async with send:
                due = trio.current_time()
                async for piece in self._read(source, direction):
                    due = max(due, trio.current_time() + self._lateness())
                    await send.send((due, piece))

    async def _read(self, source: trio.SocketStream, direction: Direction) -> AsyncIterator[bytes]:
        while True:
            rate = self._conditions.read_bytes_per_second if direction == "from" else 0
            try:
                piece = await source.receive_some(min(rate, _SLOW_PIECE_BYTES) if rate else _PIECE_BYTES)
            except _ERRORS:
                return
            if not piece:
                return
            yield bytes(piece)
            if rate:
                await trio.sleep(len(piece) / rate)

    def _lateness(self) -> float:
        found = self._conditions
        late = found.latency + found.jitter * self._random.uniform(-1, 1) if found.jitter else found.latency
        if found.stall and self._random.random() < found.stall:
            late += found.stall_seconds
        return max(0.0, late)

    async def _deliver(
        self,
        connection: _Connection,
        direction: Direction,
        sink: trio.SocketStream,
        receive: trio.MemoryReceiveChannel[tuple[float, bytes]],
    ) -> None:
        try:
            async with receive:
                async for due, piece in receive:
                    await trio.sleep_until(due)
                    await self._let_through(direction)
                    await self._pass_on(connection, direction, sink, piece)
            await self._let_through(direction)
            await sink.send_eof()
        except _ERRORS:
            connection.scope.cancel()

    async def _let_through(self, direction: Direction) -> None:
        while self._conditions.hold_to if direction == "to" else self._conditions.hold_from:
            await self._changed.wait()

    async def _pass_on(
        self, connection: _Connection, direction: Direction, sink: trio.SocketStream, piece: bytes
    ) -> None:
        found = self._conditions
        if direction == "to" and found.http is not None and not await self._is_passed(connection, piece):
            return
        if found.corrupt and self._random.random() < found.corrupt:
            piece = self._corrupt(piece)
        if direction == "from" and found.reset_after is not None:
            left = max(0, found.reset_after - connection.delivered)
            if len(piece) > left:
                await sink.send_all(piece[:left])
                self.reset += 1
                connection.reset()
                return
        await sink.send_all(piece)
        if direction == "from":
            connection.delivered += len(piece)
        if found.bytes_per_second:
            await trio.sleep(len(piece) / found.bytes_per_second)

    async def _is_passed(self, connection: _Connection, piece: bytes) -> bool:
        """Return whether the piece goes to the target; a request that meets the fault may be held here."""
        fault = self._conditions.http
        assert fault is not None
        met = any(
            path.startswith(fault.path) and self._random.random() < fault.share for path in connection.heads.feed(piece)
        )
        if not met:
            return True
        self.replaced += 1
        if fault.action == "delay":
            await trio.sleep(fault.seconds)
            return True
        if fault.action == "replace":
            body = b"{}"
            await connection.client.send_all(
                b"HTTP/1.1 %d Replaced\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (fault.status, len(body), body)
            )
            await connection.client.send_eof()
            connection.scope.cancel()
            return False
        self.reset += 1
        connection.reset()
        return False

    def _corrupt(self, piece: bytes) -> bytes:
        place = self._random.randrange(len(piece))
        self.corrupted += 1
        return piece[:place] + bytes([piece[place] ^ 0x20]) + piece[place + 1 :]


@asynccontextmanager
async def open_proxy(host: str, port: int, *, seed: int = 0) -> AsyncIterator[FaultProxy]:
    """Open a proxy to a target; on leaving, its connections are closed.

    Args:
        host: of the target.
        port: of the target; nothing has to listen there yet.
        seed: decides which pieces and requests a fault meets.
    """
    async with trio.open_nursery() as nursery:
        proxy = FaultProxy(host, port, nursery, random.Random(seed))
        await proxy.listen()
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
