"""The stores that an engine opens on the servers of a run."""

from pathlib import Path
from random import Random

import pytest

from cqox.analysis.stores import StoreAddresses
from services.simulation.stores.servers import StoreServers
from tests.services.simulation.stores.conftest import unix_time
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
ONE = a_report(1)


async def test_engines_share_the_servers_and_a_killed_one_reaches_none(tmp_path: Path) -> None:
    servers, addresses = StoreServers(Random, unix_time), StoreAddresses()
    assert sorted(servers.by_name) == ["cache", "database"]
    async with (
        servers.opening_store("a")(tmp_path, addresses) as store,
        servers.opening_cache("a")(addresses, epoch=lambda: 0) as cache,
        servers.opening_store("b")(tmp_path, addresses) as other_store,
        servers.opening_cache("b")(addresses, epoch=lambda: 0) as other_cache,
    ):
        assert store.on_server
        await store.within("default").save(ONE)
        await cache.within("default").put(ONE)
        servers.hang_up("a")
        assert await cache.within("default").get(ONE.analysis_id) is None
        assert await other_store.within("default").load(ONE.analysis_id) == ONE
        assert await other_cache.within("default").get(ONE.analysis_id) == ONE
        assert {link.connections for link in servers.by_name.values()} == {1}
    servers.close()
