from pathlib import Path

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.system import System
from cqox.chaos.simulation.world import World, simulate
from tests.chaos.simulation.toy import Toy


def test_a_system_prepares_draws_its_faults_and_runs_in_a_world(tmp_path: Path) -> None:
    system: System = Toy()
    system.prepare(tmp_path)

    async def main(world: World) -> None:
        faults = system.faults(world.draw("faults"), 4)
        assert all(isinstance(fault, Fault) for fault in faults)
        assert system.faults(world.draw("faults"), 4) == faults
        await system.run(world, faults, 4)

    assert simulate(2, main).violations == []
