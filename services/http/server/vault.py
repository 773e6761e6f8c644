"""The vault of a service: its login, the certificates that it issues, and their renewal while the app serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

import trio

from cqox.tasks import open_task_group
from cqox.threads import run_in_thread
from cqox.vault.certificates import CertificateIssuer, CertificateRequest
from cqox.vault.client import Vault
from cqox.vault.database import DatabaseLogins
from cqox.vault.errors import VaultError, VaultUnavailable
from cqox.vault.renewal import renew
from services.config.hosts import AllowedHosts
from services.config.settings import Settings
from services.config.settings_error import SettingsError
from services.config.vault import VaultAway, split_role, vault_access

__all__ = ["ServiceVault"]

_LOOK_SECONDS = 0.4
_LOG_OUT_SECONDS = 2.0
_NAMES = ("localhost", "127.0.0.1", "::1")


class ServiceVault:
    """The vault of one service.

    Args:
        vault: the client.
        issuer: issues the certificates of the service; None where others do.
        logins: users of PostgreSQL; None where the address names one.
    """

    def __init__(self, vault: Vault, *, issuer: CertificateIssuer | None, logins: DatabaseLogins | None) -> None:
        self.vault = vault
        self.issuer = issuer
        self.logins = logins

    @classmethod
    def of(cls, settings: Settings, service: Literal["gateway", "engine"]) -> "ServiceVault | None":
        """Return the vault of a service, logged in and with its first certificate; None where no vault is set.

        While the vault is away, a service starts with the certificate that it has.

        Raises:
            SettingsError: a setting is invalid, or the vault refuses what it is asked for.
            VaultAway: the vault does not answer, and there is no valid certificate.
        """
        access = vault_access(settings, service)
        if access is None:
            return None
        vault = Vault(access)
        issuer = _issuer(vault, settings, service) if settings.vault_pki_role else None
        logins = None
        if settings.vault_database_role and service == "engine":
            mount, role = split_role("database", settings.vault_database_role)
            logins = DatabaseLogins(vault, f"{mount}/creds/{role}")
        try:
            with suppress(VaultUnavailable):
                vault.keep_token()
            if issuer is not None:
                issuer.begin()
        except VaultUnavailable as error:
            vault.close()
            raise VaultAway(f"{error}. Start again once it answers, or correct CQOX_VAULT_ADDR.") from None
        except (VaultError, OSError) as error:
            vault.close()
            raise SettingsError(f"CQOX_VAULT_ADDR: {error}.") from None
        return cls(vault, issuer=issuer, logins=logins)

    async def check(self) -> None:
        """Raise `VaultUnavailable` with the reason, since when, and until when what it has issued stays valid."""
        reason = f"the vault at {self.vault.access.address} has not answered within {_LOOK_SECONDS:g} s"
        with trio.move_on_after(_LOOK_SECONDS):
            try:
                await run_in_thread(self.vault.look, abandon_on_cancel=True)
                reason = ""
            except VaultUnavailable as error:
                reason = str(error)
        if problem := self.vault.outage.problem or reason:
            raise VaultUnavailable(problem)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Vault]:
        """Renew what the vault has issued while the block runs; then log out."""
        try:
            async with open_task_group("vault", detached=True) as group:
                begun = {"the token of the vault": self.vault.keep_token}
                if self.issuer is not None:
                    begun["the certificate"] = self.issuer.keep
                if self.logins is not None:
                    begun["the database user"] = self.logins.keep
                for what, keep in begun.items():
                    group.start_soon(partial(renew, what, keep, failures=(VaultError,)), name=f"renew {what}")
                yield self.vault
                group.cancel_scope.cancel()
        finally:
            # A vault that is silent does not delay the end.
            with trio.move_on_after(_LOG_OUT_SECONDS, shield=True):
                await run_in_thread(self.close, abandon_on_cancel=True)

    def close(self) -> None:
        """Log out, which ends all that the vault has issued but the certificates; close the connections."""
        self.vault.log_out()
        self.vault.close()


def _issuer(vault: Vault, settings: Settings, service: Literal["gateway", "engine"]) -> CertificateIssuer:
    mount, role = split_role("pki", settings.vault_pki_role.replace("{service}", service))
    folder = settings.tls_dir_of(service)
    assert folder is not None
    names = (*_NAMES, *AllowedHosts(settings.allowed_hosts, listens_on=settings.host).named)
    request = CertificateRequest(
        mount=mount, role=role, identity=f"spiffe://cqox/{service}", names=tuple(dict.fromkeys(names))
    )
    return CertificateIssuer(vault, folder, request)
