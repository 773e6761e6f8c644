from pathlib import Path

import trio

from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate
from services.config.settings import Settings
from services.http.server.app import App
from services.simulation.client import exchange
from services.simulation.serving import PORT, serve


def test_an_app_is_served_on_the_host_of_its_process_and_its_failure_ends_the_process(tmp_path: Path) -> None:
    apps = list[App]()

    async def main(world: World) -> None:
        async def run(process: SimulatedProcess) -> None:
            apps.append(App(__name__, title="Engine", settings=Settings(data_dir=tmp_path, auth="open")))
            await serve(apps[-1], world, process, limits={})

        process = world.start("engine-0", run)
        await trio.sleep(1)
        assert (await exchange("engine-0", PORT, "GET", "/nothing")).status in (404, 421)

        async def fail() -> None:
            raise RuntimeError("a task that outlives requests")

        apps[0].tasks.start_soon(fail)
        await trio.sleep(2)
        assert process.starts == 2
        assert len(apps) == 2

    world = simulate(1, main)
    assert any("died engine-0 AppFailed" in line for line in world.log.last()), list(world.log.last())
