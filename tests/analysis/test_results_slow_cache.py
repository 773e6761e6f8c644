"""Engines that share a store and a cache that always answers too late."""

import anyio
import pytest

from cqox.analysis.results import Results
from cqox.storage import MemoryCache, SqliteStore, StoredReport
from tests.analysis.test_results import KEY, ONE, store

__all__ = ["store"]

pytestmark = pytest.mark.anyio


class Slow(MemoryCache):
    """A cache that is always too late: it holds nothing, and everybody has every claim."""

    async def get(self, analysis_id: str) -> StoredReport | None:
        await anyio.sleep(0.05)
        return None

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        await anyio.sleep(0.05)
        return True


async def test_one_engine_computes_however_slow_the_cache_is(store: SqliteStore) -> None:
    computed = list[int]()

    async def compute() -> StoredReport:
        computed.append(1)
        await anyio.sleep(0.1)
        return ONE

    async def ask(number: int) -> None:
        await anyio.sleep(number / 40)
        results = Results(store, Slow().within("default"))
        # As a request does: the others may have finished between this look and the claim.
        if await results.find(KEY) is None:
            await anyio.sleep(0.05)
            assert (await results.once(KEY, compute)).report == ONE

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(ask, number)
    assert computed == [1]
