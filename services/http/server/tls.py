"""TLS of accepted connections with the certificates of `CQOX_TLS_DIR`.

Each handshake uses the certificates that are current at that moment. A connection that was opened with earlier ones, or
whose client's certificate has expired, is closed after the response in progress.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import structlog
import trio

from cqox import clock
from cqox.certificates import CertificatesUnusable, Credentials, Version, identity_of
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.http.tls_stream import TlsStream

__all__ = ["HANDSHAKE_SECONDS", "HandshakeFailed", "Peer", "ServerTls"]

HANDSHAKE_SECONDS = 5.0

_LOG_EVERY_SECONDS = 10.0
_log = structlog.stdlib.get_logger("cqox.connections")


class HandshakeFailed(Exception):
    """The client does not speak TLS, speaks an older version of it, or has no certificate that is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The client of one connection.

    Attributes:
        identity: the SPIFFE id in its certificate; empty where there is none.
        allowed: whether it may request more than the health paths.
        version: the certificates that its connection was opened with; None without TLS of this module.
        expires: end of the validity of its certificate, in seconds since the epoch.
    """

    identity: str = ""
    allowed: bool = True
    version: Version | None = None
    expires: float = inf


class ServerTls:
    """The server side of TLS for the connections of a process.

    Args:
        credentials: the certificates.
        peers: identities of the allowed clients; where there are none, clients need no certificate.
    """

    def __init__(self, credentials: Credentials, peers: frozenset[str]) -> None:
        self.credentials = credentials
        self._peers = peers
        self._failed = 0
        self._logged_at = -inf

    @classmethod
    def of(cls, settings: Settings, service: str) -> "ServerTls | None":
        """Return the TLS of a service; None where none is set.

        Raises:
            SettingsError: the certificates cannot be read.
        """
        folder = settings.tls_dir_of(service)
        if folder is None:
            return None
        try:
            return cls(Credentials(folder), settings.peers)
        except CertificatesUnusable as error:
            raise SettingsError(f"CQOX_TLS_DIR: {error}.") from None

    async def check(self) -> None:
        """Raise `CertificatesUnusable` with the reason where new certificates are missing or cannot be used."""
        if problem := self.credentials.problem:
            raise CertificatesUnusable(problem)

    async def secure(self, stream: trio.SocketStream, client: str) -> tuple[TlsStream, Peer]:
        """Perform the handshake within `HANDSHAKE_SECONDS`; return the secured stream and its client.

        Args:
            stream: the connection; closed by its owner.
            client: address for the log.

        Raises:
            HandshakeFailed: the connection must be closed.
        """
        loaded = self.credentials.current()
        context = loaded.mutual if self._peers else loaded.server
        secured = TlsStream(stream, context, server_name=None)
        try:
            with trio.fail_after(HANDSHAKE_SECONDS):
                await secured.do_handshake()
        except trio.TooSlowError:
            raise self._failure(client, f"no handshake within {HANDSHAKE_SECONDS:g} s") from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # As a probe of the port does, and a client that refuses the certificate without a word.
            raise HandshakeFailed("the client closed the connection") from None
        except (ssl.SSLError, trio.BrokenResourceError) as error:
            raise self._failure(client, _reason(error)) from None
        certificate = secured.certificate if self._peers else None
        identity = identity_of(certificate)
        allowed = not self._peers or identity in self._peers
        expires = _expiry(certificate)
        return secured, Peer(identity=identity, allowed=allowed, version=loaded.version, expires=expires)

    def is_outdated(self, peer: Peer) -> bool:
        """Return whether a connection should be closed, so that its client opens another."""
        if peer.version is None:
            return False
        return not self.credentials.is_in_force(peer.version) or clock.wall_time() > peer.expires

    def _failure(self, client: str, reason: str) -> HandshakeFailed:
        self._failed += 1
        if clock.monotonic() - self._logged_at >= _LOG_EVERY_SECONDS:
            _log.warning("TLS handshakes that failed: %d; the last of %s: %s", self._failed, client, reason)
            self._logged_at, self._failed = clock.monotonic(), 0
        return HandshakeFailed(reason)


def _expiry(certificate: Mapping[str, object] | None) -> float:
    return inf if not certificate else float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _reason(error: ssl.SSLError | trio.BrokenResourceError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return "the connection was closed"
