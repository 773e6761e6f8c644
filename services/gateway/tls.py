"""TLS on a connection to an engine, which can say whether anything of the engine's is still unread.

Trio's `SSLStream` has no way to tell without waiting what has come and was not asked for; on a kept connection the next
request would take it for its answer.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress

import httpx
import trio

__all__ = ["CERTIFICATES", "TlsStream", "client_context"]

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that name the authorities whose word is taken, in place of the public ones."""

_READ_BYTES = 2**16


def client_context() -> ssl.SSLContext:
    """What engines' certificates are checked by: `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else the public authorities.

    Raises:
        OSError: a file that is named cannot be read, or is none of certificates.
    """
    context = httpx.create_ssl_context(trust_env=True)
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsStream:
    """The client's side of TLS; one task at a time.

    Args:
        stream: the connection.
        context: how to check the engine's certificate.
        server_name: for whom it must be; a dot at its end is for the resolver, and in no certificate.

    Attributes:
        ended: whether the engine has said that nothing more will come, as far as was looked.
    """

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, server_name: str) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name.removesuffix("."))
        self.ended = False

    async def do_handshake(self) -> None:
        """Agree with the engine, and check who it is.

        Raises:
            ssl.SSLError: it is somebody else, or speaks no TLS.
            trio.BrokenResourceError: the connection is lost.
        """
        await self._until(self._tls.do_handshake)
        await self._flush()

    async def send_all(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            trio.BrokenResourceError: the connection is lost.
        """
        try:
            if data:
                await self._until(lambda: self._tls.write(data))
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error
        await self._flush()

    async def receive_some(self, max_bytes: int = _READ_BYTES) -> bytes:
        """What has come, at least one byte; none where the engine has ended.

        Raises:
            trio.BrokenResourceError: the connection is lost, or what comes is no TLS.
        """
        try:
            return await self._until(lambda: self._tls.read(max_bytes))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # HTTP says itself where an answer ends, and many servers close without a word of TLS.
            return b""
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error

    def at_hand(self) -> bytes:
        """What has come and was not asked for; afterwards `ended` is known."""
        found = bytearray()
        while True:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                return bytes(found)
            except ssl.SSLError:
                data = b""
            if not data:
                self.ended = True
                return bytes(found)
            found += data

    async def _until[T](self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._stream.receive_some(_READ_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                # What is wrong is for the other side to hear as well: its log is where it is looked for.
                with suppress(trio.BrokenResourceError):
                    await self._flush()
                raise

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._stream.send_all(data)
