"""TLS on a connection to an engine, with non-blocking access to unread data.

An engine is verified by its name and the public authorities or `SSL_CERT_FILE`, or, with the certificates of
`CQOX_TLS_DIR`, by its identity: then it may be reached by any address of its name, and each connection has an age.

Trio's `SSLStream` cannot report unsolicited data without blocking; on a keep-alive connection the next request would
read it as its response.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf

import httpx
import trio

from cqox import clock
from cqox.certificates import Credentials, Version, identity_of

__all__ = ["CERTIFICATES", "EngineTls", "Terms", "TlsStream", "client_context", "connect"]

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables of the trusted certificate authorities, in place of the public ones."""

_READ_BYTES = 2**16
_RECORD_BYTES = 2**14
"""Most bytes of one TLS record; a read returns no more, and allocates what it is asked for."""


def client_context() -> ssl.SSLContext:
    """Return an SSL context that trusts `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else the public authorities.

    Raises:
        OSError: a named file cannot be read, or holds no certificates.
    """
    context = httpx.create_ssl_context(trust_env=True)
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Terms:
    """The end of the use of a connection.

    Attributes:
        ends_at: in seconds of the monotonic clock.
        version: the certificates that it was opened with; None where they do not change.
    """

    ends_at: float = inf
    version: Version | None = None


class EngineTls:
    """The verification of engines, and the certificate that is shown to them.

    Args:
        credentials: the certificates of this service; None for none and the verification of the engine's name.
        identity: SPIFFE id that an engine's certificate must hold; without `credentials` it is not used.
    """

    def __init__(self, credentials: Credentials | None = None, identity: str = "") -> None:
        self._credentials = credentials
        self._identity = identity
        self._public = client_context() if credentials is None else None

    @property
    def by_identity(self) -> bool:
        """True where engines are verified by their identity, whatever the name or address that leads to them."""
        return self._credentials is not None

    async def secure(self, stream: trio.SocketStream, server_name: str) -> "tuple[TlsStream, Terms]":
        """Perform the handshake and verify the engine.

        Raises:
            ssl.SSLError: the engine is not the expected one, or does not speak TLS.
            trio.BrokenResourceError: the connection is lost.
        """
        if self._credentials is None:
            assert self._public is not None
            secured = TlsStream(stream, self._public, server_name)
            await secured.do_handshake()
            return secured, Terms()
        loaded = self._credentials.current()
        secured = TlsStream(stream, loaded.client, server_name)
        await secured.do_handshake()
        found = secured.identity
        if found != self._identity:
            raise ssl.SSLCertVerificationError(
                f"the certificate is that of {found or 'nobody with an identity'}, and not of {self._identity}"
            )
        return secured, Terms(clock.monotonic() + loaded.half_life, loaded.version)

    def allows(self, terms: Terms) -> bool:
        """Return whether a connection may be used for another request."""
        if self._credentials is None or terms.version is None:
            return True
        return clock.monotonic() < terms.ends_at and self._credentials.is_in_force(terms.version)


async def connect(host: str, port: int, tls: EngineTls | None) -> "tuple[trio.SocketStream | TlsStream, Terms]":
    """Open a connection, and perform the handshake where there is TLS.

    Raises:
        OSError: it cannot be opened, or the engine is not the expected one.
        trio.BrokenResourceError: the connection is lost.
    """
    stream = await trio.open_tcp_stream(host, port)
    if tls is None:
        return stream, Terms()
    try:
        return await tls.secure(stream, host)
    except BaseException:
        stream.socket.close()
        raise


class TlsStream:
    """The client side of a TLS connection; for one task at a time.

    Args:
        stream: the connection.
        context: verifies the engine's certificate.
        server_name: the name that the certificate must match; a trailing dot is for the resolver and is removed.

    Attributes:
        ended: whether a close_notify or end of stream was read.
    """

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, server_name: str) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name.removesuffix("."))
        self.ended = False

    async def do_handshake(self) -> None:
        """Perform the handshake and verify the engine's certificate.

        Raises:
            ssl.SSLError: the certificate is not trusted or does not match, or the peer does not speak TLS.
            trio.BrokenResourceError: the connection is lost.
        """
        await self._until(self._tls.do_handshake)
        await self._flush()

    @property
    def identity(self) -> str:
        """The SPIFFE id in the engine's certificate; empty where it has none."""
        return identity_of(self._tls.getpeercert())

    async def send_all(self, data: bytes) -> None:
        """Send all of `data`.

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
        """Receive at least one byte; return none at the end of the stream.

        Raises:
            trio.BrokenResourceError: the connection is lost, or the data is not TLS.
        """
        try:
            if not (self._incoming.pending or self._incoming.eof or self._tls.pending()):
                # Without this a read would fail first, which costs more than the rest of it.
                await self._receive()
            data = await self._until(lambda: self._tls.read(min(max_bytes, _RECORD_BYTES)))
            return data if not self._incoming.pending else self._with_received(data, max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # HTTP delimits responses itself, and many servers close without close_notify.
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
                await self._receive()
            except ssl.SSLError:
                # Send the alert, so that the peer's log names the error as well.
                with suppress(trio.BrokenResourceError):
                    await self._flush()
                raise

    async def _receive(self) -> None:
        data = await self._stream.receive_some(_READ_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._stream.send_all(data)
