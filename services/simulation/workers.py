"""Simulated workers: they answer what real ones have answered, take a seeded time for it, and can be broken."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio

from cqox.analysis.workers import Progress, Reply, Serve
from cqox.analysis.workers.limits import ProcessLimits
from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, StorageFull, StoreUnavailable, WorkerLost
from cqox.storage.disk import unavailable
from services.simulation.recordings import Recorded, Recordings, UnknownTask

__all__ = ["SimulatedWorker", "WorkerFaults", "Workers"]

_MEAN_SECONDS: Mapping[str, float] = {
    "analyze": 0.8,
    "catalog": 0.05,
    "definitions": 0.05,
    "ingest": 0.3,
    "preview": 0.2,
    "render": 0.2,
    "sample": 0.3,
    "samples": 0.4,
}
_START_SECONDS = 0.6
_LOOK_SECONDS = 1.0
_LONG_SHARE, _LONG_TIMES = 0.2, 12.0


@dataclass(slots=True)
class WorkerFaults:
    """The faults of the workers of one engine.

    Attributes:
        hanging: number of faults that let tasks hang until they are over.
        refusing: number of faults that let no worker start.
        slowness: how many times longer tasks take.
    """

    hanging: int = 0
    refusing: int = 0
    slowness: float = 1.0


class Workers:
    """The workers of one engine, and what is wrong with them.

    Args:
        recordings: what they answer.
        draw: decides how long it takes.
        faults: what is wrong with them.

    Attributes:
        alive: those that run.
    """

    def __init__(self, recordings: Recordings, draw: Random, faults: WorkerFaults) -> None:
        self.recordings = recordings
        self.draw = draw
        self.alive: list[SimulatedWorker] = []
        self.faults = faults
        self._started = 0

    async def start(self, *, work: str, limits: ProcessLimits, threads: int) -> "SimulatedWorker":
        """Start a worker.

        Raises:
            OSError: processes cannot be started now.
        """
        await anyio.sleep(self.draw.uniform(0.5, 2) * _START_SECONDS)
        if self.faults.refusing:
            raise OSError(errno.ENOMEM, "no memory for another process")
        self._started += 1
        worker = SimulatedWorker(self, self._started)
        self.alive.append(worker)
        return worker

    def kill_one(self) -> bool:
        """Kill a worker, as the kernel may; return whether there was one."""
        busy = [worker for worker in self.alive if worker.task] or self.alive
        if not busy:
            return False
        self.draw.choice(busy).kill()
        return True

    def run_out_of_memory(self) -> bool:
        """Let a task that runs exceed its memory; return whether there was one."""
        busy = [worker for worker in self.alive if worker.task]
        if not busy:
            return False
        self.draw.choice(busy).run_out_of_memory()
        return True

    def kill_all(self) -> None:
        """Kill every worker, as the death of their engine does."""
        for worker in list(self.alive):
            worker.kill()


class SimulatedWorker:
    """A worker without a process.

    Args:
        workers: those of its engine.
        number: counts them.

    Attributes:
        confined: empty: there is no process to confine.
        pid: counts the workers of the engine.
        task: name of the task that it runs; empty without one.
    """

    confined: tuple[str, ...] = ("no-network",)

    def __init__(self, workers: Workers, number: int) -> None:
        self.pid = number
        self.task = ""
        self._workers = workers
        self._ended = anyio.Event()
        self._out_of_memory = False
        self._abandoned = False
        self._late: Reply | None = None
        self._seconds = 0.0

    @property
    def alive(self) -> bool:
        """True while it accepts tasks."""
        return not self._ended.is_set()

    @property
    def abandoned(self) -> bool:
        """True while it runs a task of a cancelled caller."""
        return self._abandoned and self.alive

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        serve: Serve | None = None,
    ) -> Reply:
        """Answer what a real worker has answered; one that still runs an abandoned task answers that first.

        Raises:
            LimitExceeded: it is made to run out of memory.
            StoreUnavailable: the disk takes nothing.
            UnknownTask: no real worker was asked this.
            WorkerLost: it is killed meanwhile.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self.abandoned and self._late is not None:
            return self._late
        self.task, self._late = name, None
        try:
            found = self._workers.recordings.find(name, arguments)
            self._late = Reply(body=found.body, payload=found.payload)
            await self._work(name, found, progress)
            self._write(found, arguments)
        except anyio.get_cancelled_exc_class():
            self._abandoned = True
            raise
        except UnknownTask:
            self.kill()
            raise
        finally:
            self.task = ""
        return Reply(body=found.body, payload=found.payload)

    async def _work(self, name: str, found: Recorded, progress: Progress | None) -> None:
        faults, draw = self._workers.faults, self._workers.draw
        # Most tasks are short, and some are long enough to be met by anything.
        times = _LONG_TIMES if draw.random() < _LONG_SHARE else 1.0
        seconds = draw.expovariate(1 / _MEAN_SECONDS[name]) * times * faults.slowness
        steps = [*found.steps, None]
        for step in steps:
            hanging = faults.hanging and draw.random() < 1 / len(steps)
            # As a process that is stopped: it goes on once the fault is over.
            while hanging and faults.hanging:
                await self._pass(_LOOK_SECONDS)
            await self._pass(seconds / len(steps))
            self._seconds += seconds / len(steps)
            if step is not None and progress is not None:
                progress(step)

    async def _pass(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        if self._out_of_memory:
            raise LimitExceeded(Message("analysis.aborted-out-of-memory"))
        if not self.alive:
            raise WorkerLost(Message("analysis.worker-ended", pid=self.pid))

    def _write(self, found: Recorded, arguments: Mapping[str, object]) -> None:
        try:
            for name, data in found.files.items():
                (Path(str(arguments["folder"])) / name).write_bytes(data)
        except OSError as error:
            failure: StoreUnavailable | StorageFull = unavailable(error)
            raise failure from error

    async def settle(self, seconds: float) -> None:
        """End an abandoned task: most end by themselves, the others with their worker."""
        await anyio.sleep(self._workers.draw.uniform(0, 2 * seconds))
        if self._workers.faults.hanging or self._workers.draw.random() < 0.1:
            self.kill()
        self._abandoned = False

    def cpu_seconds(self) -> float:
        """Return the time that it has worked, in seconds."""
        return self._seconds

    def memory_bytes(self) -> int:
        """Return 0: it has no process."""
        return 0

    def kill(self) -> None:
        """End it."""
        self._ended.set()
        if self in self._workers.alive:
            self._workers.alive.remove(self)

    def run_out_of_memory(self) -> None:
        """Let its task exceed its memory, and end it."""
        self._out_of_memory = True
        self.kill()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._ended.wait()
