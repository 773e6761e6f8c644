import trio

from cqox.chaos.simulation.world import World, simulate
from services.simulation.asking import Mix
from services.simulation.catalog import FILES
from services.simulation.expectations import Expectations
from services.simulation.last_client import LastClient
from services.simulation.recordings import Recordings
from services.simulation.site import Site
from services.simulation.tenants import Tenant


def test_where_all_is_well_everything_succeeds_and_nothing_unknown_is_listed(recordings: Recordings) -> None:
    found = list[dict[str, bool]]()

    async def main(world: World) -> None:
        site = Site(world, recordings)
        tenant = Tenant(name="", key="", files=tuple(FILES), expected=Expectations(world))
        with site.running(engines=1, gateways=1):
            await trio.sleep(15)
            client = LastClient(site, tenant, Mix(leaves=0, slow=0), world.draw("last"))
            found.append(await client.ask_everything())
            await trio.sleep(30)
            await client.check_lists()

    assert simulate(1, main).violations == []
    assert len(found[0]) > 10
    assert all(found[0].values()), found[0]
