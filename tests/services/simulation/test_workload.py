import json

import trio

from cqox.chaos.simulation.world import World, simulate
from services.simulation.asking import Mix
from services.simulation.catalog import FILES, OWN_FILES
from services.simulation.expectations import Expectations
from services.simulation.own_data import OwnData
from services.simulation.recordings import Recordings
from services.simulation.site import Site
from services.simulation.tenants import Tenant
from services.simulation.workload import Client


def tenant_of(world: World) -> Tenant:
    return Tenant(name="", key="", files=tuple(FILES), expected=Expectations(world))


def test_clients_ask_for_everything_and_remember_what_was_acknowledged(recordings: Recordings) -> None:
    found = list[Expectations]()

    async def main(world: World) -> None:
        site, tenant = Site(world, recordings), tenant_of(world)
        found.append(tenant.expected)
        with site.running(engines=2, gateways=1):
            clients = [
                Client(site, tenant, Mix(gap=0.5), world.draw(f"client {number}"), 120, OwnData(name))
                for number, name in enumerate(list(OWN_FILES)[:3])
            ]
            running = [world.start(f"client-{n}", each.run, restart=False) for n, each in enumerate(clients)]
            await trio.sleep(130)
            assert all(process.ended.is_set() for process in running)

    # One seed may draw no upload of one of the files.
    assert [simulate(seed, main).violations for seed in (1, 2, 3)] == [[], [], []]
    asked = {what.partition(" ")[0] for expected in found for what in expected.counts}
    assert asked >= {"analyze", "read_job", "upload_dataset", "read_analysis", "preview", "read_figure", "health"}
    assert all(expected.reports and expected.jobs for expected in found)
    assert {name for expected in found for name in expected.datasets} >= set(FILES)
    json.dumps([expected.counts for expected in found])


def test_what_somebody_asks_to_delete_while_another_reads_it_may_be_gone(recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site, tenant = Site(world, recordings), tenant_of(world)
        with site.running(engines=1, gateways=1):
            await trio.sleep(15)
            mix, own = Mix(leaves=0, slow=0), OwnData(next(iter(OWN_FILES)))
            client = Client(site, tenant, mix, world.draw("client"), 100, own)
            tenant.expected.reports |= {"0" * 32: "", "1" * 32: ""}
            tenant.expected.doubtful.add("1" * 32)
            assert not await client.read_report("1" * 32)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.read_report, "0" * 32)
                await trio.sleep(0.0005)
                tenant.expected.withdraw("0" * 32)

    assert simulate(1, main).violations == []


def test_what_was_acknowledged_and_is_not_there_is_a_violation(recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site, tenant = Site(world, recordings), tenant_of(world)
        with site.running(engines=1, gateways=1):
            await trio.sleep(15)
            mix, own = Mix(leaves=0, slow=0), OwnData(next(iter(OWN_FILES)))
            client = Client(site, tenant, mix, world.draw("client"), 100, own)
            job_id = tenant.expected.accepted("key", {}, {"job_id": "0" * 32})
            assert await client.look_at(job_id) is None
            tenant.expected.reports["0" * 32] = ""
            assert not await client.read_report("0" * 32)

    violations = simulate(1, main).violations
    lost = [violation for violation in violations if "is not there, and it was acknowledged" in violation]
    assert len(lost) == 2, violations
