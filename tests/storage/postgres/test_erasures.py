"""Erasures in PostgreSQL under retries; the contract is in `tests.storage.test_erasures`."""

import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, an_erasure

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


async def test_a_retried_call_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        assert await store.put_erasure(an_erasure(finished_at="2026-01-02", receipt=b"{}")) is True
        assert await store.put_erasure(an_erasure()) is False
        await store.register(a_dataset("d"))
        assert await store.erase_everything() == 1
