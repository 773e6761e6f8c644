"""Addresses of the stores of an engine, from its settings."""

from cqox.analysis.stores import StoreAddresses
from cqox.certificates import CertificatesUnusable, Credentials
from cqox.storage import Sealing
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.keyring import open_sealing

__all__ = ["store_addresses"]


def store_addresses(
    settings: Settings, credentials: Credentials | None = None, sealing: Sealing | None = None
) -> StoreAddresses:
    """Return the addresses of result store and cache, with the certificates of the engine and its key ring.

    Args:
        settings: the settings in force.
        credentials: those certificates, where they are read already.
        sealing: encryption at rest, where it is open already.

    Raises:
        SettingsError: the certificates cannot be read, or the package that encrypts is not installed.
    """
    folder = settings.tls_dir_of("engine")
    if credentials is None and folder is not None and (settings.postgres_url or settings.redis_url):
        try:
            credentials = Credentials(folder)
        except CertificatesUnusable as error:
            raise SettingsError(f"CQOX_TLS_DIR: {error}.") from None
    return StoreAddresses(
        postgres_url=settings.postgres_url,
        redis_url=settings.redis_url,
        credentials=credentials,
        sealing=open_sealing(settings) if sealing is None else sealing,
    )
