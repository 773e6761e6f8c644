"""Parts of an engine: its stores and its workers, each opened by a function that can be replaced."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from cqox.analysis.bounds import Bounds
from cqox.analysis.pools import open_pool
from cqox.analysis.stores import StoreAddresses, open_cache, open_store
from cqox.analysis.workers.pool import WorkerPool
from cqox.storage import ResultDatabase, SharedCache

__all__ = ["OpenCache", "Parts"]

_REPAIRED = partial(open_store, repair=True)


class OpenCache(Protocol):
    """Opens the result cache; see `cqox.analysis.stores.open_cache`."""

    def __call__(
        self, addresses: StoreAddresses, *, epoch: Callable[[], int]
    ) -> AbstractAsyncContextManager[SharedCache]:
        """Return what is open for as long as the engine is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Functions that open the parts of an engine.

    Attributes:
        open_store: opens the result store of a data directory.
        open_cache: opens the result cache.
        open_pool: opens the worker processes for these bounds.
    """

    open_store: Callable[[Path, StoreAddresses], AbstractAsyncContextManager[ResultDatabase]] = _REPAIRED
    open_cache: OpenCache = open_cache
    open_pool: Callable[[Bounds], AbstractAsyncContextManager[WorkerPool]] = open_pool
