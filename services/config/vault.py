"""Access to the vault from the settings, and secrets that settings refer to.

A secret setting, or the file of one, may hold `vault:<mount>/<path>#<field>` in place of the secret: a field of what is
in a KV 2 engine, which is read at the start.
"""

from collections.abc import Mapping
from pathlib import Path

from cqox.vault.access import VaultAccess, check_address
from cqox.vault.errors import VaultError, VaultMisused, VaultUnavailable
from services.config.about import Service
from services.config.settings import Settings
from services.config.settings_error import SettingsError

__all__ = ["VaultAway", "is_reference", "read_references", "split_role", "vault_access"]

_REFERENCE = "vault:"


class VaultAway(SettingsError):
    """The settings may be right, and the vault does not answer: another start may succeed."""


def vault_access(settings: Settings, service: Service) -> VaultAccess | None:
    """Return the access of a service to the vault; None where no vault is set.

    Args:
        settings: the settings in force.
        service: whose login it is; `up` stands for both services.

    Raises:
        SettingsError: a setting of the vault is invalid or missing.
    """
    if not settings.vault_addr:
        for variable, given in (
            ("CQOX_VAULT_DATABASE_ROLE", settings.vault_database_role),
            ("CQOX_VAULT_PKI_ROLE", settings.vault_pki_role),
        ):
            if given:
                raise SettingsError(f"{variable} needs CQOX_VAULT_ADDR, the address of the vault.")
        return None
    try:
        check_address(settings.vault_addr)
    except VaultMisused as error:
        raise SettingsError(f"CQOX_VAULT_ADDR: {error}.") from None
    if settings.vault_role_file == Path():
        raise SettingsError("CQOX_VAULT_ADDR needs CQOX_VAULT_ROLE_FILE, the file with the login of this service.")
    if settings.vault_pki_role and settings.tls_dir == Path():
        raise SettingsError("CQOX_VAULT_PKI_ROLE needs CQOX_TLS_DIR, the directory for the certificates.")
    return VaultAccess(
        address=settings.vault_addr.rstrip("/"),
        role_file=Path(str(settings.vault_role_file).replace("{service}", _login_of(service))),
        ca_file=None if settings.vault_ca_file == Path() else settings.vault_ca_file,
        certificates=settings.tls_dir_of(_login_of(service)),
        namespace=settings.vault_namespace,
    )


def _login_of(service: Service) -> str:
    # What `cqox up` and the commands need of a vault, the engine needs too.
    return "engine" if service == "up" else service


def split_role(mount: str, role: str) -> tuple[str, str]:
    """Return the path of an engine of the vault, and the name of a role in it.

    Args:
        mount: the path where none is given.
        role: `role` or `mount/role`.
    """
    given, _, name = role.strip("/").rpartition("/")
    return given or mount, name


def is_reference(text: str) -> bool:
    """Return whether a value refers to a secret in the vault."""
    return text.startswith(_REFERENCE)


def read_references(references: Mapping[str, str], access: VaultAccess | None) -> dict[str, str]:
    """Return the secrets that variables refer to.

    Args:
        references: each by its variable.
        access: the vault; None where none is set.

    Raises:
        SettingsError: a reference has another form, or there is no such secret or no access to it.
        VaultAway: the vault does not answer.
    """
    if access is None:
        raise SettingsError(f"{min(references)} refers to a vault: set CQOX_VAULT_ADDR to its address.")
    # Imported here: it takes long to import, and most processes that load settings ask no vault.
    from cqox.vault.client import Vault
    from cqox.vault.kv import read_field

    found = dict[str, str]()
    with Vault(access) as vault:
        for variable, text in references.items():
            try:
                found[variable] = read_field(vault, text.removeprefix(_REFERENCE))
            except ValueError as error:
                raise SettingsError(f"{variable}={text}: {error}.") from None
            except VaultUnavailable as error:
                raise VaultAway(
                    f"{variable}={text}: {error}. Start again once it answers, or correct CQOX_VAULT_ADDR."
                ) from None
            except VaultError as error:
                raise SettingsError(f"{variable}={text}: {error}.") from None
        vault.log_out()
    return found
