"""Addresses of the stores of an engine, from its settings."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from cqox.analysis.stores import StoreAddresses
from cqox.certificates import CertificatesUnusable, Credentials
from cqox.storage import Sealing
from cqox.vault.database import DatabaseLogins
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.engine.keyring import open_sealing

if TYPE_CHECKING:
    from cqox.storage.objects import ObjectStoreAddress

__all__ = ["store_addresses"]


def store_addresses(
    settings: Settings,
    credentials: Credentials | None = None,
    *,
    sealing: Sealing | None = None,
    logins: DatabaseLogins | None = None,
) -> StoreAddresses:
    """Return the addresses of result store and cache, with the certificates of the engine and its key ring.

    Args:
        settings: the settings in force.
        credentials: those certificates, where they are read already.
        sealing: encryption at rest, where it is open already.
        logins: users of PostgreSQL, where a vault creates them.

    Raises:
        SettingsError: the certificates cannot be read, the package that encrypts or the one that reaches object stores
            is not installed, an address of the object store is not valid, or that of PostgreSQL does not go with
            `logins`.
    """
    if logins is not None:
        _check_without_user(settings.postgres_url)
    folder = settings.tls_dir_of("engine")
    if credentials is None and folder is not None and (settings.postgres_url or settings.redis_url):
        try:
            credentials = Credentials(folder)
        except CertificatesUnusable as error:
            raise SettingsError(f"CQOX_TLS_DIR: {error}.") from None
    return StoreAddresses(
        postgres_url=settings.postgres_url,
        objects=_object_store(settings),
        copies_bytes=settings.object_copies_bytes,
        redis_url=settings.redis_url,
        credentials=credentials,
        logins=logins,
        sealing=open_sealing(settings) if sealing is None else sealing,
    )


def _object_store(settings: Settings) -> "ObjectStoreAddress | None":
    if not settings.object_store:
        return None
    if find_spec("obstore") is None:
        raise SettingsError("CQOX_OBJECT_STORE needs the package obstore: pip install 'cqox[stores]'.")
    from cqox.storage.objects import ObjectStoreAddress

    try:
        return ObjectStoreAddress.parse(
            settings.object_store,
            endpoint=settings.object_store_endpoint,
            region=settings.object_store_region,
            access_key=settings.object_store_access_key,
            secret_key=settings.object_store_secret_key,
        )
    except ValueError as error:
        raise SettingsError(f"{error}.") from None


def _check_without_user(url: str) -> None:
    if not url:
        raise SettingsError("CQOX_VAULT_DATABASE_ROLE needs POSTGRES_URL, the address of the database without a user.")
    from cqox.storage.postgres.address import check_address, names_user

    try:
        check_address(url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if names_user(url):
        raise SettingsError(
            "POSTGRES_URL names a user or a password, and CQOX_VAULT_DATABASE_ROLE gives others; keep one of them."
        )
