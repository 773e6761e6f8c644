"""Access to a vault: its address, the authorities of its certificate, and the login of this service."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cqox.certificates import CertificatesUnusable, current_version
from cqox.vault.errors import VaultMisused

__all__ = ["VaultAccess", "check_address"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAccess:
    """The access to one vault.

    Attributes:
        address: `https://host:8200`, or http on this machine.
        role_file: see `cqox.vault.login`.
        ca_file: authorities of the vault's certificate, in PEM.
        certificates: folder of `cqox.certificates` whose authorities are trusted, where no `ca_file` is given.
        namespace: sent with each request; empty for the root namespace.
    """

    address: str
    role_file: Path
    ca_file: Path | None = None
    certificates: Path | None = None
    namespace: str = ""

    @property
    def is_local(self) -> bool:
        """True where the vault is on this machine."""
        return urlsplit(self.address).hostname in _LOOPBACK

    def trust_stamp(self) -> tuple[object, ...]:
        """Return what changes with the trusted authorities; of no cost."""
        try:
            if self.ca_file is not None:
                about = self.ca_file.stat()
                return (about.st_ino, about.st_mtime_ns, about.st_size)
            return () if self.certificates is None else current_version(self.certificates).stamp
        except (OSError, CertificatesUnusable):
            return ()

    def context(self) -> ssl.SSLContext:
        """Return the context of TLS connections; it verifies the vault's certificate and its name.

        Raises:
            VaultMisused: the authorities cannot be read.
        """
        file = self.ca_file
        if file is None and self.certificates is not None:
            try:
                file = current_version(self.certificates).ca
            except CertificatesUnusable:
                # This service has no certificate yet: the vault issues its first one.
                file = None
        try:
            context = ssl.create_default_context(cafile=None if file is None else str(file))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise VaultMisused(f"the authorities in {file} cannot be read: {reason}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def check_address(address: str) -> None:
    """Check the address of a vault.

    Raises:
        VaultMisused: it is no address of a host, has a user, a path or a query, or is not https though it is elsewhere.
    """
    try:
        parts = urlsplit(address)
        usable = bool(parts.hostname) and parts.port != 0 and parts.scheme in ("http", "https")
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise VaultMisused("it must be an address such as https://vault.example.com:8200")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise VaultMisused("it must be https: http is accepted on this machine only")
