"""The key ring of an engine, from its settings, and what has to be true before it serves."""

import atexit
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.analysis.keyrings import KEY_RING_FILE, check_mark, file_ring
from cqox.contract.messages import Message
from cqox.encryption import KeyRing
from cqox.errors import StoreUnavailable
from cqox.sources import Place
from cqox.storage import Sealing
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.config.vault import vault_access

if TYPE_CHECKING:
    from cqox.vault.client import Vault

__all__ = ["check_copies", "check_sealing", "check_shared_ring", "open_sealing"]


def open_sealing(settings: Settings, vault: "Vault | None" = None) -> Sealing:
    """Return encryption at rest as it is set.

    Args:
        settings: the settings in force.
        vault: the vault of the service; one with a login of its own by default, where the keys are there.

    Raises:
        SettingsError: the package that encrypts is not installed, or no vault is set for its keys.
    """
    try:
        return Sealing(_ring(settings, vault))
    except StoreUnavailable as error:
        raise SettingsError(f"CQOX_KEYS={settings.keys}: {error}") from None


def check_sealing(settings: Settings, sealing: Sealing) -> None:
    """Check that encryption is decided on where there are logins, and that the ring fits the data directory.

    Raises:
        SettingsError: it does not.
    """
    if settings.authenticates and not settings.keys:
        raise SettingsError(
            f"With CQOX_AUTH={settings.auth} it has to be said whether what an engine stores is encrypted: "
            "set CQOX_KEYS to none, file or vault."
        )
    check_shared_ring(settings)
    try:
        sealing.check()
    except StoreUnavailable as error:
        if settings.keys != "vault":
            raise SettingsError(f"CQOX_KEYS={settings.keys}: {error}") from None
        # An engine starts without its vault, and reads what is sealed once that answers.
        return
    try:
        check_mark(settings.data_dir, sealing)
    except StoreUnavailable as error:
        raise SettingsError(f"CQOX_KEYS={settings.keys or 'none'}: {error}") from None


def check_copies(places: Mapping[str, Place], sealing: Sealing) -> None:
    """Check that no table is copied to a disk on which everything is encrypted: DuckDB reads plain files.

    Args:
        places: the sources of tables in place.
        sealing: encryption at rest.

    Raises:
        SettingsError: the tables of one are.
    """
    copied = [name for name, place in places.items() if place.is_remote]
    if copied and sealing.ring is not None:
        raise SettingsError(
            f"CQOX_SOURCES, source '{copied[0]}': tables of a url are copied to the data directory as plain files, and "
            "CQOX_KEYS has everything encrypted there. Give a folder in place of the url, or a table of PostgreSQL."
        )


def check_shared_ring(settings: Settings) -> None:
    """Check that the key ring is one of all engines where their files are.

    Raises:
        SettingsError: it would be in the data directory of this engine.
    """
    if settings.keys == "file" and settings.object_store and settings.key_ring == Path():
        raise SettingsError(
            "CQOX_KEYS=file with CQOX_OBJECT_STORE needs CQOX_KEY_RING, a file that all engines share: with keys of "
            "its own in each data directory no engine could read what another has stored. Or set CQOX_KEYS to vault."
        )


def _ring(settings: Settings, vault: "Vault | None") -> KeyRing | None:
    if settings.keys == "file":
        place = settings.key_ring
        return file_ring(settings.data_dir / KEY_RING_FILE if place == Path() else place)
    return _transit(settings, vault) if settings.keys == "vault" else None


def _transit(settings: Settings, vault: "Vault | None") -> KeyRing:
    if not settings.vault_addr:
        raise SettingsError("CQOX_KEYS=vault needs CQOX_VAULT_ADDR, the address of the vault.")
    try:
        import cryptography  # noqa: F401 - what the keys are used by
    except ModuleNotFoundError:
        raise StoreUnavailable(Message("encryption.not-installed")) from None
    # Its HTTP client takes long to load, and no installation without a vault needs it.
    from cqox.vault.client import Vault
    from cqox.vault.keyring import TransitKeyRing

    if vault is None:
        access = vault_access(settings, "engine")
        assert access is not None
        vault = Vault(access)
        atexit.register(_leave, vault)
    return TransitKeyRing(vault)


def _leave(vault: "Vault") -> None:
    vault.log_out()
    vault.close()
