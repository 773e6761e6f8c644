from pathlib import Path

import pytest
import trio

from cqox.chaos.simulation.world import World, simulate
from services.simulation.client import ConnectionLost, exchange
from services.simulation.recordings import Recordings
from services.simulation.serving import PORT
from services.simulation.site import ENGINES, GATEWAYS, Site

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("on_servers", [False, True], ids=["file", "servers"])
def test_gateways_and_engines_answer_and_come_back_after_a_crash(on_servers: bool, recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site = Site(world, recordings, on_servers=on_servers)
        with site.running(engines=2, gateways=1):
            await trio.sleep(15)
            assert (await exchange(GATEWAYS, PORT, "GET", "/health/ready")).status == 200
            first = site.incarnation("engine-0")
            site.world.process("engine-0").crash()
            assert (await exchange(GATEWAYS, PORT, "GET", "/api/datasets")).status == 200
            await trio.sleep(15)
            assert site.incarnation("engine-0") != first
            assert sorted(site.apps) == ["engine-0", "engine-1", "gateway-0"]
            assert sorted(site.pools) == sorted(site.workers) == ["engine-0", "engine-1"]

    assert simulate(1, main).violations == []


def test_a_name_without_engines_cannot_be_resolved_until_they_are_up_again(recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site = Site(world, recordings)
        with site.running(engines=1, gateways=1):
            await trio.sleep(15)
            site.take_down("engine-0")
            with pytest.raises(ConnectionLost, match="nothing is named engines"):
                await exchange(ENGINES, PORT, "GET", "/health/live")
            site.put_up("engine-0")
            assert (await exchange(ENGINES, PORT, "GET", "/health/live")).status == 200

    simulate(1, main)


def test_a_store_that_fails_and_a_full_disk_are_said_and_pass(recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site = Site(world, recordings)
        with site.running(engines=1, gateways=1):
            await trio.sleep(15)
            with site.store_errors(1.0, after=False):
                assert (await exchange(GATEWAYS, PORT, "GET", "/api/jobs")).status == 503
            await trio.sleep(70)
            assert (await exchange(GATEWAYS, PORT, "GET", "/api/jobs")).status == 200
            with site.full_disk(1.0):
                answer = await exchange(GATEWAYS, PORT, "POST", "/api/datasets?name=a.csv", body=b"y,w\n1,0\n2,1\n")
                assert answer.status == 507
            site.lose_power()
            await trio.sleep(20)
            assert (await exchange(GATEWAYS, PORT, "GET", "/health/ready")).status == 200

    simulate(1, main)


def test_trouble_lasts_a_moment_longer_than_its_cause(recordings: Recordings) -> None:
    async def main(world: World) -> None:
        site = Site(world, recordings)
        assert not site.is_troubled(0)
        with site.trouble():
            await trio.sleep(5)
            assert site.is_troubled(0)
        await trio.sleep(100)
        assert site.is_troubled(70)
        assert not site.is_troubled(80)

    simulate(1, main)
