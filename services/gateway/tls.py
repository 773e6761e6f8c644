"""TLS on a connection to an engine.

An engine is verified by its name and the public authorities or `SSL_CERT_FILE`, or, with the certificates of
`CQOX_TLS_DIR`, by its identity: then it may be reached by any address of its name, and each connection has an age.
"""

import ssl
from dataclasses import dataclass
from math import inf

import httpx
import trio

from cqox import clock
from cqox.certificates import Credentials, Version, identity_of
from services.http.tls_stream import TlsStream

__all__ = ["CERTIFICATES", "EngineTls", "Terms", "client_context", "connect"]

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables of the trusted certificate authorities, in place of the public ones."""


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

    async def secure(self, stream: trio.SocketStream, server_name: str) -> tuple[TlsStream, Terms]:
        """Perform the handshake and verify the engine.

        Raises:
            ssl.SSLError: the engine is not the expected one, or does not speak TLS.
            trio.BrokenResourceError: the connection is lost.
        """
        if self._credentials is None:
            assert self._public is not None
            secured = TlsStream(stream, self._public, server_name=server_name)
            await secured.do_handshake()
            return secured, Terms()
        loaded = self._credentials.current()
        secured = TlsStream(stream, loaded.client, server_name=server_name)
        await secured.do_handshake()
        found = identity_of(secured.certificate)
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


async def connect(host: str, port: int, tls: EngineTls | None) -> tuple[trio.SocketStream | TlsStream, Terms]:
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
