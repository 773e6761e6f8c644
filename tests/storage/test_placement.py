"""Every backend says where it is, and the engines on one disk learn of deletions."""

import pytest

from cqox.storage import SqliteStore
from tests.storage.conftest import Opening
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio


async def test_a_deletion_is_announced_where_no_server_serves_every_engine(open_store: Opening) -> None:
    async with open_store() as store:
        assert store.on_server is not isinstance(store, SqliteStore)
        await store.save(a_report(1))
        before = store.epoch, store.deletions
        await store.delete_reports([a_report(1).analysis_id])
        assert store.epoch == before[0]
        assert (store.deletions == before[1]) is store.on_server
