"""The bytes of a connection to a client: reading, writing, and detecting that the client has left.

`services.http.server.http1` gives them a meaning; the place in the connection limits learns of every transfer here.
"""

import math
import socket
from collections.abc import Sequence
from contextlib import suppress

import trio

from cqox import clock
from services.http.server.connection_limits import Place
from services.http.server.socket_state import descriptor_of, has_hung_up, wait_readable
from services.http.tls_stream import TlsStream

__all__ = ["DISCARDED_BYTES", "ClientStream", "Stream"]

DISCARDED_BYTES = 2**20
"""Most bytes that are read to be discarded."""

_READ_BYTES = 2**16
_JOINED_BYTES = 2**14
"""Size from which parts are sent together without a copy that joins them."""
_LINGER_SECONDS = 1.0

type Stream = trio.SocketStream | TlsStream


class ClientStream:
    """The stream of one connection.

    Args:
        stream: the connection; closed by its owner.
        place: its slot in the connection limits.

    Attributes:
        over: whether nothing can be sent any more.
        sent_at: when bytes were last sent, in Trio's time.
    """

    def __init__(self, stream: Stream, place: Place) -> None:
        self._stream = stream
        self._place = place
        self._writing = trio.Lock()
        self.over = False
        self.sent_at = -math.inf

    @property
    def is_writing(self) -> bool:
        """True while bytes are sent."""
        return self._writing.locked()

    @property
    def descriptor(self) -> int | None:
        """The descriptor of the socket; None where what has been received is in TLS, or it is of another network."""
        if isinstance(self._stream, TlsStream) and self._stream.has_received:
            return None
        return descriptor_of(self._socket)

    async def first_bytes(self) -> bytes | None:
        """Read the first bytes of the next request; the connection is idle exactly until they arrive.

        Bytes read from a socket pass a checkpoint first, at which an idle connection may be evicted.
        """
        with self._place.idle():
            if isinstance(self._stream, TlsStream):
                # Bytes that TLS has taken already are no longer in the socket.
                return await self.read()
            with suppress(OSError, trio.ClosedResourceError):
                await wait_readable(self._socket)
        return await self.more()

    async def more(self) -> bytes | None:
        """Read further bytes of a request, as a transfer that may stall."""
        with self._place.transferring():
            return await self.read()

    async def read(self) -> bytes | None:
        """Read from the client; return empty bytes at the end of its input, None for a broken connection."""
        try:
            data = bytes(await self._stream.receive_some(_READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over = True
            return None
        self._place.moved(len(data))
        return data

    async def write(self, *parts: bytes) -> None:
        """Send parts to the client, one after the other; do nothing where the connection is over."""
        size_bytes = sum(map(len, parts))
        if not size_bytes or self.over:
            return
        async with self._writing:
            sent = False
            try:
                with self._place.transferring():
                    await self._send_all(parts, joined=size_bytes < _JOINED_BYTES)
                sent = True
                self._place.moved(size_bytes)
                self.sent_at = trio.current_time()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            finally:
                # Part of it may have been sent: the client would read further bytes as the rest.
                self.over = self.over or not sent

    def is_reset(self) -> bool:
        """Return whether the connection is over or the client has reset it."""
        try:
            return self.over or bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        except OSError:
            return True

    def has_hung_up(self) -> bool:
        """Return whether the client has closed its side, also where bytes before that are unread."""
        return has_hung_up(self._socket)

    async def linger(self, *, unread: bool) -> None:
        """Shut down the sending side and drain the input: closing a socket with unread bytes resets the response.

        Args:
            unread: whether unread bytes are known.
        """
        stream = self._bare
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_eof()
            if not (unread or stream.socket.is_readable()):
                return
            taken, began = 0, clock.monotonic()
            with trio.move_on_after(_LINGER_SECONDS), self._place.idle():
                while taken < DISCARDED_BYTES and clock.monotonic() - began < _LINGER_SECONDS:
                    data = await stream.receive_some(_READ_BYTES)
                    if not data:
                        return
                    taken += len(data)

    async def _send_all(self, parts: Sequence[bytes], *, joined: bool) -> None:
        if joined or isinstance(self._stream, TlsStream) or descriptor_of(self._socket) is None:
            await self._stream.send_all(b"".join(parts))
            return
        try:
            sent = await self._socket.sendmsg(parts)
        except OSError as error:
            raise trio.BrokenResourceError from error
        for part in parts:
            if sent < len(part):
                with memoryview(part) as view:
                    await self._stream.send_all(view[sent:])
            sent = max(0, sent - len(part))

    @property
    def _bare(self) -> trio.SocketStream:
        """The connection below TLS."""
        return self._stream.transport_stream if isinstance(self._stream, TlsStream) else self._stream

    @property
    def _socket(self) -> trio.socket.SocketType:
        return self._bare.socket
