"""The contract of a system that is simulated."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol

from cqox.chaos.simulation.faults import Fault

if TYPE_CHECKING:
    from cqox.chaos.simulation.world import World

__all__ = ["System"]


class System(Protocol):
    """Builds a system in a world, loads it, breaks it, and checks it.

    Attributes:
        name: on the command line and in the ledger.
    """

    name: str

    def prepare(self, folder: Path) -> None:
        """Make what all seeds share, once, before the first one; it may be kept in the folder.

        Nothing may be left that a fork does not survive: no thread, and no open event loop.
        """
        ...

    def faults(self, draw: Random, minutes: float) -> Sequence[Fault]:
        """Return the faults of a run: all of them within its first half, and what they change is well again by then."""
        ...

    async def run(self, world: "World", faults: Sequence[Fault], minutes: float) -> None:
        """Run the system under these faults for this time, and report to the world what is violated."""
        ...
