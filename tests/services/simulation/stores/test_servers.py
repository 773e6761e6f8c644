"""The stores that an engine opens on the servers of a run."""

from pathlib import Path
from random import Random
from typing import cast

import pytest
import trio

from cqox import clock
from cqox.analysis.stores import StoreAddresses
from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate
from services.simulation.recordings import Recordings
from services.simulation.site import Site
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


def test_the_clock_of_a_server_is_not_that_of_the_process_that_calls() -> None:
    ahead = list[float]()

    async def main(world: World) -> None:
        site = Site(world, cast("Recordings", None), on_servers=True)

        async def engine(process: SimulatedProcess) -> None:
            process.skew.step(3600.0)
            assert site.servers is not None
            ahead.extend(clock.wall_time() - server.now() for server in site.servers.by_name.values())

        world.start("engine-0", engine, restart=False)
        await trio.sleep(1.0)

    simulate(1, main)
    assert ahead == [3600.0, 3600.0]
