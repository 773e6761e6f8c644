"""The servers of the stores of one run, and how an engine opens its stores on them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

from cqox.analysis.parts import OpenCache
from cqox.analysis.stores import StoreAddresses
from cqox.storage import ResultDatabase, SharedCache
from services.simulation.stores.cache import open_cache
from services.simulation.stores.cache_server import CacheServer
from services.simulation.stores.database import open_database
from services.simulation.stores.database_server import DatabaseServer
from services.simulation.stores.server import SimulatedServer

__all__ = ["StoreServers"]


class StoreServers:
    """A database server and a cache server, which all engines share and which outlive them.

    Args:
        draw: returns a source of chance for a purpose.
        now: clock of the servers, Unix time in seconds.
        persistent_cache: whether the cache loses the last second of writes when it is killed, rather than everything.

    Attributes:
        database: the database server.
        cache: the cache server.
    """

    def __init__(
        self, draw: Callable[[str], Random], now: Callable[[], float], *, persistent_cache: bool = False
    ) -> None:
        self.database = DatabaseServer(rng=draw("database server"), now=now)
        self.cache = CacheServer(rng=draw("cache server"), now=now, persistent=persistent_cache)

    @property
    def by_name(self) -> dict[str, SimulatedServer]:
        """The servers by name."""
        return {"database": self.database, "cache": self.cache}

    def opening_store(
        self, client: str
    ) -> Callable[[Path, StoreAddresses], AbstractAsyncContextManager[ResultDatabase]]:
        """Return what opens the result store of an engine, for `cqox.analysis.parts.Parts`."""

        @asynccontextmanager
        async def opened(_folder: Path, _addresses: StoreAddresses) -> AsyncIterator[ResultDatabase]:
            async with open_database(self.database, client=client) as store:
                yield store

        return opened

    def opening_cache(self, client: str) -> OpenCache:
        """Return what opens the result cache of an engine, for `cqox.analysis.parts.Parts`."""

        @asynccontextmanager
        async def opened(addresses: StoreAddresses, *, epoch: Callable[[], int]) -> AsyncIterator[SharedCache]:
            del epoch
            async with open_cache(self.cache, client=client, sealing=addresses.sealing) as cache:
                yield cache

        return opened

    def hang_up(self, client: str) -> None:
        """End the connections of an engine that was killed; nothing that is left of it reaches a server again."""
        self.database.hang_up(client)
        self.cache.hang_up(client)

    def close(self) -> None:
        """Remove the database."""
        self.database.close()
