"""The key ring of an engine, from its settings, and what has to be true before it serves."""

from pathlib import Path

from cqox.analysis.keyrings import KEY_RING_FILE, check_mark, file_ring
from cqox.encryption import KeyRing
from cqox.errors import StoreUnavailable
from cqox.storage import Sealing
from services.config.configuration import SettingsError
from services.config.settings import Settings

__all__ = ["check_sealing", "open_sealing"]


def open_sealing(settings: Settings) -> Sealing:
    """Return encryption at rest as it is set.

    Raises:
        SettingsError: the package that encrypts is not installed.
    """
    try:
        return Sealing(_ring(settings))
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
    try:
        check_mark(settings.data_dir, sealing)
        if settings.keys == "file":
            sealing.check()
    except StoreUnavailable as error:
        raise SettingsError(f"CQOX_KEYS={settings.keys or 'none'}: {error}") from None


def _ring(settings: Settings) -> KeyRing | None:
    if settings.keys == "file":
        place = settings.key_ring
        return file_ring(settings.data_dir / KEY_RING_FILE if place == Path() else place)
    return None
