"""Share links in PostgreSQL under retries; the contract is in `tests.storage.test_shares`."""

import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_report, a_share

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]

ONE = a_report(1).analysis_id


async def test_a_retried_call_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        await store.save(a_report(1))
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        for share_id in ("a", "b"):
            assert await store.put_share(a_share(1, share_id)) is True
        assert len(await store.shares(ONE)) == 2
        assert (await store.delete_share(ONE, "a"), await store.delete_share(ONE, "a")) == (True, False)
        assert (await store.expire_shares(before="2027"), await store.expire_shares(before="2027")) == (1, 0)
