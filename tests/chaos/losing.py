"""A broken product: what an engine has stored is gone when it is killed, as on a disk of the container's own."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from cqox.chaos.experiments.experiment import Experiment, Fault
from tests.chaos.system import CqoxSystem
from tests.chaos.system import open_system as open_whole

__all__ = ["open_system"]


@asynccontextmanager
async def open_system(experiment: Experiment, folder: Path) -> AsyncIterator[CqoxSystem]:
    """Start CQOx; each fault of it also empties the data directory."""
    async with open_whole(experiment, folder) as system:
        whole = system.broken

        @asynccontextmanager
        async def broken(fault: Fault) -> AsyncIterator[None]:
            async with whole(fault):
                await trio.to_thread.run_sync(shutil.rmtree, system.data)
                yield

        system.broken = broken
        yield system
