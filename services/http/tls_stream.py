"""Either side of a TLS connection, with non-blocking access to unread data.

OpenSSL works in memory here: a message is encrypted as a whole and sent at once, and whatever has been received is
decrypted together. Trio's `SSLStream` takes one record a call and cannot report unsolicited data without blocking; on a
keep-alive connection the next request would read it as its response.
"""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import trio

__all__ = ["TlsStream"]

_READ_BYTES = 2**16
_RECEIVE_BYTES = 2**17 - 2**12
"""From 2**17 bytes on, the memory of each read comes from the kernel page by page and goes back to it."""
_SEND_BYTES = 2**18
"""Bytes that are encrypted at once: OpenSSL keeps a buffer of the largest size that a connection ever needed."""
_RECORD_BYTES = 2**14
"""Most bytes of one TLS record; a read returns no more, and allocates what it is asked for."""


class TlsStream(trio.abc.AsyncResource):
    """One side of a TLS connection; one task may receive while another one sends.

    Args:
        stream: the connection.
        context: the certificates, and what a peer must show.
        server_name: on the side of a client, the name that the certificate must match where the context checks it; a
            trailing dot is for the resolver and is removed. None on the side of a server.

    Attributes:
        transport_stream: the connection.
        socket: its socket.
        ended: whether a close_notify or end of stream was read.
    """

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, *, server_name: str | None) -> None:
        self.transport_stream = stream
        self.socket = stream.socket
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_name is None,
            server_hostname=None if server_name is None else server_name.removesuffix("."),
        )
        self._flushing = trio.Lock()
        self._cut = False
        self.ended = False

    async def do_handshake(self) -> None:
        """Perform the handshake and verify the peer's certificate; send the alert where it fails.

        Raises:
            ssl.SSLError: the certificate is not accepted, or the peer does not speak this TLS.
            ssl.SSLEOFError: the peer has closed the connection.
            trio.BrokenResourceError: the connection is lost.
        """
        await self._until(self._tls.do_handshake)
        await self._flush()

    @property
    def certificate(self) -> Mapping[str, object] | None:
        """The certificate of the peer, as `ssl.SSLSocket.getpeercert` returns it."""
        return self._tls.getpeercert()

    @property
    def protocol(self) -> str | None:
        """The protocol that both sides have chosen (ALPN); None for none."""
        return self._tls.selected_alpn_protocol()

    @property
    def has_received(self) -> bool:
        """True while received data, perhaps less than a record, is unread: the socket no longer has it."""
        return bool(self._incoming.pending or self._cut or self._tls.pending())

    async def send_all(self, data: bytes) -> None:
        """Send all of `data`; after a cancellation nothing more can be sent.

        Raises:
            trio.BrokenResourceError: the connection is lost.
        """
        try:
            with memoryview(data) as view:
                for start in range(0, len(data), _SEND_BYTES):
                    await self._until(partial(self._tls.write, view[start : start + _SEND_BYTES]))
                    await self._flush()
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error

    async def receive_some(self, max_bytes: int = _READ_BYTES) -> bytes:
        """Receive at least one byte; return none at the end of the stream. A cancellation loses no data.

        Raises:
            trio.BrokenResourceError: the connection is lost, or the data is not TLS.
        """
        try:
            if not self.has_received:
                # Without this a read would fail first, which costs more than the rest of it.
                await self._receive()
            data = await self._until(lambda: self._tls.read(min(max_bytes, _RECORD_BYTES)))
            return data if not self._incoming.pending else self._with_received(data, max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # HTTP delimits messages itself, and many peers close without close_notify.
            self.ended = True
            return b""
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error

    def _with_received(self, data: bytes, max_bytes: int) -> bytes:
        """Add further records that were received already: OpenSSL returns one at a time, and each costs a parse."""
        found = [data]
        left = max_bytes - len(data)
        while self._incoming.pending and left:
            try:
                more = self._tls.read(min(left, _RECORD_BYTES))
            except ssl.SSLError:
                # An incomplete record, or an error or end that the next call raises again.
                break
            if not more:
                break
            found.append(more)
            left -= len(more)
        return b"".join(found)

    def read_pending(self) -> bytes:
        """Return unread data without blocking, and update `ended`."""
        found = bytearray()
        while True:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                self.ended = self.ended or self._cut
                return bytes(found)
            except ssl.SSLError:
                data = b""
            if not data:
                self.ended = True
                return bytes(found)
            found += data

    async def aclose(self) -> None:
        """Close the connection, without a close_notify."""
        await self.transport_stream.aclose()

    async def _until[T](self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                if self._cut:
                    raise ssl.SSLEOFError("the connection was closed") from None
                await self._receive()
            except ssl.SSLError:
                # Send the alert, so that the peer's log names the error as well.
                with suppress(trio.BrokenResourceError):
                    await self._flush()
                raise

    async def _receive(self) -> None:
        data = await self.transport_stream.receive_some(_RECEIVE_BYTES)
        if data:
            self._incoming.write(data)
        else:
            # OpenSSL does not learn of it: it would send nothing more, and the peer may still read.
            self._cut = True

    async def _flush(self) -> None:
        if not self._outgoing.pending:
            return
        try:
            self._flushing.acquire_nowait()
        except trio.WouldBlock:
            # A reading task has an answer of TLS itself to send.
            await self._flushing.acquire()
        try:
            if data := self._outgoing.read():
                await self.transport_stream.send_all(data)
        finally:
            self._flushing.release()
