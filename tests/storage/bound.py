"""Stores that are opened and bound to the tenant `default` at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self

from cqox.storage import DEFAULT_TENANT, DataDirectory, FileStore, MemoryCache

__all__ = ["a_cache", "files_in", "in_default"]


class Openable(Protocol):
    def within(self, tenant_id: str) -> Self: ...


@asynccontextmanager
async def in_default[Store: Openable](
    open_store: Callable[..., AbstractAsyncContextManager[Store]], *args: Any, **kwargs: Any
) -> AsyncIterator[Store]:
    async with open_store(*args, **kwargs) as store:
        yield store.within(DEFAULT_TENANT)


def a_cache(**bounds: Any) -> MemoryCache:
    return MemoryCache(**bounds).within(DEFAULT_TENANT)


def files_in(root: Path, **bounds: Any) -> FileStore:
    files = DataDirectory(root, **bounds).within(DEFAULT_TENANT)
    assert isinstance(files, FileStore)
    return files
