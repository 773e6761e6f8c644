"""A system for tests: a counter that acknowledges, and forgets where a seed says so."""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import trio

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.world import World


class Toy:
    """Violates its invariant where faults 1 and 3 happen both, or in seed 13."""

    name = "toy"

    def prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def faults(self, draw: Random, minutes: float) -> Sequence[Fault]:
        return [Fault(number=n, kind="loss", at=n + draw.random()) for n in range(5)]

    async def run(self, world: World, faults: Sequence[Fault], minutes: float) -> None:
        for fault in faults:
            world.log.add("fault", fault)
        await trio.sleep(60 * minutes)
        if world.seed == 666:
            raise RuntimeError("the harness is broken")
        if {1, 3} <= {fault.number for fault in faults} and world.seed % 10 == 3:
            world.violated("it forgot")


def broken() -> Toy:
    return Toy()


class Unrepeatable(Toy):
    """Takes another course each time."""

    async def run(self, world: World, faults: Sequence[Fault], minutes: float) -> None:
        world.log.add("process", os.getpid())


def unrepeatable() -> Unrepeatable:
    return Unrepeatable()
