"""The configured result store and cache: checking their addresses, opening them, and what differs between them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.certificates import Credentials
from cqox.storage import (
    Ballast,
    MemoryCache,
    ResultDatabase,
    ResultStore,
    SealedStore,
    Sealing,
    SharedCache,
    SqliteStore,
)
from cqox.storage.sqlite_file import check_sqlite

if TYPE_CHECKING:
    # Not needed by an installation without an object store, or without a vault.
    from cqox.storage.objects import ObjectStoreAddress, ObjectVolume
    from cqox.vault.database import DatabaseLogins

__all__ = [
    "RESULTS_FILE",
    "StoreAddresses",
    "check_addresses",
    "check_file",
    "generation_of",
    "open_cache",
    "open_store",
    "open_volume",
    "store_of",
]

RESULTS_FILE = "results.sqlite"
"""File of the SQLite store in a data directory, used unless PostgreSQL is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddresses:
    """Addresses of the result store, the cache and the files.

    Attributes:
        postgres_url: the PostgreSQL database; a SQLite file in the data directory if empty.
        redis_url: the Redis server; the memory of the process if empty.
        credentials: certificates for TLS to them, where the addresses name none.
        sealing: encryption at rest.
        logins: users of the PostgreSQL database, where a vault creates them.
        objects: the object store of files; the data directory if None.
        copies_bytes: the most that copies of data sets from it take on the disk.
    """

    postgres_url: str = ""
    redis_url: str = ""
    credentials: Credentials | None = None
    sealing: Sealing = field(default_factory=Sealing)
    logins: "DatabaseLogins | None" = None
    objects: "ObjectStoreAddress | None" = None
    copies_bytes: int = 0


def check_file(data_dir: Path) -> None:
    """Check that the SQLite file in this folder can be used, or set aside if damaged.

    Raises:
        StoreUnavailable: it cannot; the message is one line.
    """
    check_sqlite(data_dir / RESULTS_FILE)


def check_addresses(addresses: StoreAddresses) -> None:
    """Check that the addresses are valid, without connecting.

    Raises:
        ValueError: one is not; the message names the setting.
    """
    if addresses.postgres_url:
        from cqox.storage import postgres

        postgres.check_address(addresses.postgres_url)
    if addresses.redis_url:
        from cqox.storage import redis

        redis.check_address(addresses.redis_url)
    if addresses.objects is not None and not addresses.postgres_url:
        raise ValueError(
            "CQOX_OBJECT_STORE needs POSTGRES_URL: engines without a common directory have their results, leases and "
            "locks in a database that all of them reach"
        )


def open_volume(data_dir: Path, addresses: StoreAddresses) -> "ObjectVolume | None":
    """Return the object store of files, without connecting; None where the data directory keeps them.

    Args:
        data_dir: the data directory, which has copies of what is read.
        addresses: where it is.
    """
    if addresses.objects is None:
        return None
    from cqox.storage.objects import ObjectVolume

    return ObjectVolume.open(addresses.objects, data_dir, copies_bytes=addresses.copies_bytes)


@asynccontextmanager
async def open_store(
    data_dir: Path, addresses: StoreAddresses, *, repair: bool = False
) -> AsyncIterator[ResultDatabase]:
    """Open the configured result store. A server may be unreachable; a file must be usable.

    Args:
        data_dir: folder of the SQLite file.
        addresses: which store to open.
        repair: whether a damaged file is set aside and replaced.

    Raises:
        StoreUnavailable: the file cannot be used.
        ValueError: the URL is invalid.
    """
    if addresses.postgres_url:
        from cqox.storage.postgres import PostgresStore

        opened = PostgresStore.open(addresses.postgres_url, credentials=addresses.credentials, logins=addresses.logins)
        async with opened as postgres:
            yield postgres
    else:
        async with SqliteStore.open(data_dir / RESULTS_FILE, repair=repair, ballast=Ballast(data_dir)) as sqlite:
            yield sqlite


def store_of(store: ResultDatabase, tenant_id: str, sealing: Sealing) -> ResultStore:
    """Return the store of one tenant, whose sealed contents are opened.

    Raises:
        ValueError: the id can be none of a tenant.
    """
    return SealedStore(store.within(tenant_id), sealing.of(tenant_id), prepare=store.finish)


def generation_of(store: ResultDatabase) -> int:
    """Return a number that changes once the store has lost or deleted reports; constant for a server."""
    return (store.epoch << 64) + store.deletions


@asynccontextmanager
async def open_cache(addresses: StoreAddresses, *, epoch: Callable[[], int] = lambda: 0) -> AsyncIterator[SharedCache]:
    """Open the configured result cache. A server may be unreachable.

    Args:
        addresses: which cache to open.
        epoch: epoch of the store; a cache in memory drops entries of an earlier one.

    Raises:
        ValueError: the URL is invalid.
    """
    if addresses.redis_url:
        from cqox.storage.redis import RedisCache

        async with RedisCache.open(
            addresses.redis_url, credentials=addresses.credentials, sealing=addresses.sealing
        ) as redis:
            yield redis
    else:
        yield MemoryCache(epoch=epoch)
