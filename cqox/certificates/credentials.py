"""SSL contexts of a certificate folder, read again whenever its current version has changed.

A new version is examined before it is used: its key must belong to its certificate, it must be valid now, and a
certificate with an identity must be issued by one of its own authorities. A version that fails is reported once, and
the one before it stays in force.
"""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock

from cqox.certificates.folder import CertificatesUnusable, Version, current_version
from cqox.certificates.identity import identity_of

__all__ = ["Credentials", "Loaded", "date", "examine"]

_log = logging.getLogger("cqox.certificates")

_ALPN = ["http/1.1"]
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the module `ssl` does not name."""
_ROUNDS = 4
_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_LATE_SHARE = 1 / 6
"""Share of its life at the end of which a certificate should have been replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One version of the certificates, ready for use.

    Attributes:
        version: its files.
        server: context of a server whose clients need no certificate.
        mutual: context of a server that demands a certificate of each client.
        client: context of a client; it verifies the chain, and the caller compares the peer's identity.
        identity: the SPIFFE id in the certificate; empty where it has none.
        not_before: start of the validity, in seconds since the epoch.
        not_after: its end.
    """

    version: Version
    server: ssl.SSLContext
    mutual: ssl.SSLContext
    client: ssl.SSLContext
    identity: str
    not_before: float
    not_after: float

    @property
    def half_life(self) -> float:
        """Half of the validity in seconds: the longest time that a connection should be kept."""
        return (self.not_after - self.not_before) / 2


class Credentials:
    """The certificates in a folder; for any thread.

    Args:
        folder: see `cqox.certificates.folder`.
        now: returns the time in seconds since the epoch.
        clock: returns a monotonic time in seconds.

    Raises:
        CertificatesUnusable: there is no version that can be loaded. An expired one is loaded, so that a service can
            start and take up the next version.
    """

    def __init__(
        self, folder: Path, *, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._now = now
        self._clock = clock
        self._lock = RLock()
        self._refused: tuple[int, ...] = ()
        self._reason = ""
        self._retry_at = 0.0
        self._look_at = 0.0
        version = current_version(folder)
        self._loaded = _load(version)
        if reason := _outside_validity(self._loaded, now()):
            self._refuse(version.stamp, f"{version.folder}: {reason}")

    def current(self) -> Loaded:
        """Return the certificates in force; load a version that has become the current one."""
        with self._lock:
            return self._current()

    def _current(self) -> Loaded:
        try:
            version = current_version(self.folder)
        except CertificatesUnusable as error:
            self._refuse((), str(error))
            return self._loaded
        if version.stamp == self._loaded.version.stamp:
            if self._reason and not _outside_validity(self._loaded, self._now()):
                self._refused, self._reason = (), ""
            return self._loaded
        if version.stamp == self._refused and self._clock() < self._retry_at:
            return self._loaded
        try:
            loaded = examine(version, now=self._now())
        except CertificatesUnusable as error:
            self._refuse(version.stamp, f"{version.folder}: {error}")
            return self._loaded
        self._loaded = loaded
        self._refused, self._reason = (), ""
        _log.info("new certificates of %s are in force until %s", self.folder, date(loaded.not_after))
        return loaded

    def is_in_force(self, version: Version) -> bool:
        """Return whether a version is the one in force, as of a quarter of a second ago; for open connections."""
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_SECONDS
            self.current()
        return self._loaded.version.stamp == version.stamp

    @property
    def problem(self) -> str:
        """The reason that new certificates are missing or not in force, and the end of those in force; else empty."""
        loaded = self.current()
        left = loaded.not_after - self._now()
        until = date(loaded.not_after)
        if self._reason and left > 0:
            return f"{self._reason}; the certificate in force is valid until {until}"
        if left <= 0:
            return self._reason or f"the certificate has expired at {until} and was not replaced"
        if left < _LATE_SHARE * 2 * loaded.half_life:
            return f"the certificate expires at {until} and was not replaced"
        return ""

    def _refuse(self, stamp: tuple[int, ...], reason: str) -> None:
        if reason != self._reason:
            _log.error("%s; the certificate in force is valid until %s", reason, date(self._loaded.not_after))
        self._refused, self._reason = stamp, reason
        self._retry_at = self._clock() + _RETRY_SECONDS


def date(seconds: float) -> str:
    """Return seconds since the epoch as a date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def examine(version: Version, *, now: float) -> Loaded:
    """Load a version and check that it can be used now.

    Raises:
        CertificatesUnusable: it cannot; the message is the reason.
    """
    loaded = _load(version)
    if reason := _outside_validity(loaded, now):
        raise CertificatesUnusable(reason)
    return loaded


def _outside_validity(loaded: Loaded, now: float) -> str:
    if now >= loaded.not_after:
        return f"the certificate has expired at {date(loaded.not_after)}"
    if now < loaded.not_before:
        return f"the certificate is not valid before {date(loaded.not_before)}"
    return ""


def _load(version: Version) -> Loaded:
    server = _context(version, ssl.PROTOCOL_TLS_SERVER)
    mutual = _context(version, ssl.PROTOCOL_TLS_SERVER)
    mutual.verify_mode = ssl.CERT_REQUIRED
    client = _context(version, ssl.PROTOCOL_TLS_CLIENT)
    certificate = _certificate_of(version, server)
    return Loaded(
        version=version,
        server=server,
        mutual=mutual,
        client=client,
        identity=identity_of(certificate),
        not_before=ssl.cert_time_to_seconds(str(certificate["notBefore"])),
        not_after=ssl.cert_time_to_seconds(str(certificate["notAfter"])),
    )


def _context(version: Version, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(_ALPN)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        # A resumed session would skip the check of the certificate.
        context.num_tickets = 0
    try:
        context.load_cert_chain(version.cert, version.key, password=_refuse_password)
    except (ssl.SSLError, ValueError) as error:
        if "KEY_VALUES_MISMATCH" in str(error):
            raise CertificatesUnusable("the key does not belong to the certificate") from None
        raise CertificatesUnusable(f"the certificate or its key cannot be read: {_reason(error)}") from None
    except OSError as error:
        raise CertificatesUnusable(f"the certificate or its key cannot be read: {error.strerror}") from None
    try:
        context.load_verify_locations(version.ca)
    except OSError as error:
        reason = _reason(error) if isinstance(error, ssl.SSLError) else error.strerror
        raise CertificatesUnusable(f"the authorities cannot be read: {reason}") from None
    return context


def _refuse_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is not in PEM").replace("_", " ").lower()
    return str(error)


def _certificate_of(version: Version, server: ssl.SSLContext) -> Mapping[str, object]:
    """Return the certificate of a version, as its peers will see it.

    The module `ssl` shows a certificate only once a handshake has verified it.
    """
    try:
        return _shown_by(server, version.ca, strict=True)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or _reason(error)
    try:
        # A certificate of another authority, such as a public one, is trusted by itself.
        certificate = _shown_by(server, version.cert, strict=False)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or _reason(error)
        raise CertificatesUnusable(f"the certificate cannot serve: {reason}") from None
    if identity_of(certificate):
        raise CertificatesUnusable(f"the certificate is not accepted by its own authorities: {reason}")
    return certificate


def _shown_by(server: ssl.SSLContext, trusted: Path, *, strict: bool) -> Mapping[str, object]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= _NO_CHECK_TIME | (ssl.VERIFY_X509_STRICT if strict else ssl.VERIFY_X509_PARTIAL_CHAIN)
    context.load_verify_locations(trusted)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up)
    answering = server.wrap_bio(up, down, server_side=True)
    for _ in range(_ROUNDS):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert()
    assert certificate
    return certificate
