"""Tenants and API keys in PostgreSQL under retries; the contract is in `tests.storage.test_identities`."""

import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_key, a_tenant

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


async def test_a_retried_call_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        await store.ping()
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        assert await store.put_tenant(a_tenant("acme")) is True
        assert await store.put_tenant(a_tenant("acme", name="Acme")) is False
        assert await store.put_key(a_key("k")) is True
        assert await store.put_key(a_key("k", "default")) is False
        assert await store.revoke_key("acme", "k", at="1") is True
        assert await store.revoke_key("acme", "k", at="2") is False
