"""A user of PostgreSQL for one command, where a vault creates them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cqox.vault.errors import VaultError, VaultUnavailable
from services.config.settings import Settings
from services.config.settings_error import SettingsError
from services.config.vault import VaultAway, split_role, vault_access

__all__ = ["database_user"]


@contextmanager
def database_user(settings: Settings) -> Iterator[Settings]:
    """Complete `POSTGRES_URL` by a user of the vault for as long as the block runs.

    An address that names a user, such as that of the owner of the tables, is left as it is.

    Args:
        settings: the settings in force.

    Raises:
        SettingsError: the vault refuses to create one, or a setting of it is invalid.
        VaultAway: it does not answer.
    """
    access = vault_access(settings, "engine") if settings.vault_database_role and settings.postgres_url else None
    if access is None:
        yield settings
        return
    from psycopg.conninfo import make_conninfo

    from cqox.storage.postgres.address import check_address, names_user
    from cqox.vault.client import Vault
    from cqox.vault.database import DatabaseLogins

    try:
        check_address(settings.postgres_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if names_user(settings.postgres_url):
        yield settings
        return
    mount, role = split_role("database", settings.vault_database_role)
    with Vault(access) as vault:
        try:
            login = DatabaseLogins(vault, f"{mount}/creds/{role}").current()
        except VaultUnavailable as error:
            raise VaultAway(f"CQOX_VAULT_DATABASE_ROLE: {error}.") from None
        except VaultError as error:
            raise SettingsError(f"CQOX_VAULT_DATABASE_ROLE: {error}.") from None
        try:
            yield replace(
                settings,
                postgres_url=make_conninfo(settings.postgres_url, user=login.user, password=login.password),
            )
        finally:
            vault.log_out()
