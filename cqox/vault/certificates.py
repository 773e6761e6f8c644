"""Certificates that the PKI engine of a vault issues into a folder of `cqox.certificates`, renewed in time."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cqox.certificates import CertificatesUnusable, Credentials, Loaded, date, publish
from cqox.vault.client import Answer, Vault
from cqox.vault.errors import VaultError, VaultUnavailable
from cqox.vault.token import RENEW_SHARE

__all__ = ["CertificateIssuer", "CertificateRequest"]

_LEASE = "the certificate"
_RETRY_SECONDS = 30.0
_LEAST_SECONDS = 0.1
_log = logging.getLogger("cqox.vault")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A request for a certificate.

    Attributes:
        mount: path of the PKI engine.
        role: its role.
        identity: SPIFFE id, the only URI in the certificate.
        names: host names and addresses for which it is valid.
    """

    mount: str
    role: str
    identity: str
    names: Sequence[str]

    def body(self) -> dict[str, object]:
        """Return the members of the request."""
        addresses = [name for name in self.names if _is_address(name)]
        hosts = [name for name in self.names if name not in addresses]
        return {
            "uri_sans": self.identity,
            "alt_names": ",".join(hosts),
            "ip_sans": ",".join(addresses),
            "format": "pem",
            "private_key_format": "pkcs8",
        }


class CertificateIssuer:
    """Keeps the certificates in a folder valid; its methods block, and are called by one thread at a time.

    Args:
        vault: the vault.
        folder: where the versions are written.
        request: what is asked for.
        now: returns the time in seconds since the epoch.

    Attributes:
        problem: why the last renewal has failed, and until when the certificate in force is valid; or empty.
    """

    def __init__(
        self, vault: Vault, folder: Path, request: CertificateRequest, *, now: Callable[[], float] = time.time
    ) -> None:
        self._vault = vault
        self._folder = folder
        self._request = request
        self._now = now
        self._due = 0.0
        self.problem = ""

    def begin(self) -> None:
        """Issue a certificate unless the folder has one of this identity that is not yet due.

        Raises:
            VaultError: there is no valid one, and none can be had.
        """
        loaded = self._loaded()
        if loaded is not None and loaded.identity == self._request.identity:
            self._note(loaded)
            if self._now() < self._due:
                return
        try:
            self._issue()
        except VaultError:
            if loaded is None or self._now() >= loaded.not_after or loaded.identity != self._request.identity:
                raise
            self._due = self._now()

    def keep(self) -> float:
        """Issue a certificate where that is due; return the seconds until it is due again.

        A failure keeps the one before, and is tried again in half a minute, or sooner where its end is near.
        """
        if self._now() >= self._due:
            try:
                self._issue()
            except (VaultError, OSError) as error:
                self._failed(str(error))
        return max(_LEAST_SECONDS, self._due - self._now())

    def _failed(self, reason: str) -> None:
        loaded, now = self._loaded(), self._now()
        left = 0.0 if loaded is None else loaded.not_after - now
        until = "" if loaded is None else f"; the certificate in force is valid until {date(loaded.not_after)}"
        self.problem = f"{reason}{until}"
        level = logging.DEBUG if self._vault.outage.reason else logging.WARNING
        _log.log(level, "The certificate cannot be renewed: %s", self.problem)
        self._due = now + max(1.0, min(_RETRY_SECONDS, left / 10))

    def _issue(self) -> None:
        request = self._request
        answer = self._vault.write(f"{request.mount}/issue/{request.role}", request.body())
        data = answer.get("data")
        found = data if isinstance(data, dict) else {}
        cert, key, issuer = (found.get(name) for name in ("certificate", "private_key", "issuing_ca"))
        if not isinstance(cert, str) or not isinstance(key, str) or not isinstance(issuer, str):
            raise VaultUnavailable(f"{request.mount}/issue/{request.role} brings no certificate", is_outage=False)
        given = found.get("ca_chain")
        chain = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
        authorities = dict.fromkeys(text.strip() for text in (*self._authorities(), *chain, issuer))
        # An intermediate authority comes with the certificate; a root, which issues itself, is at the end of the chain.
        publish(
            self._folder,
            cert=_pem([cert, *chain[:-1]]),
            key=_pem([key]),
            ca=_pem(list(authorities)),
        )
        loaded = self._loaded()
        if loaded is None or loaded.identity != request.identity:
            raise VaultUnavailable(
                f"{request.mount}/issue/{request.role} brings a certificate without the identity {request.identity}",
                is_outage=False,
            )
        self.problem = ""
        self._note(loaded)
        _log.info("A certificate of %s was issued; it is valid until %s.", request.identity, date(loaded.not_after))

    def _authorities(self) -> list[str]:
        """Return every authority of the engine, so that peers with a certificate of another one are accepted."""
        try:
            listed = self._vault.write(f"{self._request.mount}/issuers", method="LIST").get("data")
            keys = listed.get("keys") if isinstance(listed, dict) else None
            names = [name for name in keys if isinstance(name, str)] if isinstance(keys, list) else []
            found = [_certificate(self._vault.read(f"{self._request.mount}/issuer/{name}/json")) for name in names]
        except VaultUnavailable:
            raise
        except VaultError as error:
            _log.info("The authorities of the vault cannot be listed: %s", error)
            return []
        return [text for text in found if text]

    def _loaded(self) -> Loaded | None:
        try:
            return Credentials(self._folder).current()
        except CertificatesUnusable:
            return None

    def _note(self, loaded: Loaded) -> None:
        # The beginning of the validity lies before the issue, to allow for clocks that are behind.
        issued = max(loaded.not_before, loaded.version.cert.stat().st_mtime)
        self._due = issued + RENEW_SHARE * (loaded.not_after - issued)
        self._vault.outage.leases[_LEASE] = self._vault.clock() + loaded.not_after - self._now()


def _certificate(answer: Answer) -> str:
    data = answer.get("data")
    found = data.get("certificate") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _pem(parts: Sequence[str]) -> bytes:
    return "".join(f"{part.strip()}\n" for part in parts).encode()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
