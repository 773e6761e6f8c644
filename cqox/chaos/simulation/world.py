"""One simulated run: its time, its chance, its network and its processes."""

import gc
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path
from random import Random
from typing import Protocol, cast

import trio
import trio.testing

from cqox import clock, randomness, threads
from cqox.chaos.simulation.clocks import SimulatedTime
from cqox.chaos.simulation.events import EventLog
from cqox.chaos.simulation.network import SimulatedNetwork
from cqox.chaos.simulation.process import Main, SimulatedProcess
from cqox.chaos.simulation.timeline import Timeline

__all__ = ["InTheLoop", "Stuck", "World", "simulate"]

_RESTART_SECONDS = 0.5
_COLLECT_SECONDS = 30
_BUSY_CPU_SECONDS = 120.0


class Stuck(Exception):
    """The run uses much CPU time while no simulated time passes."""


class InTheLoop:
    """Runs blocking calls in the event loop, before or after a pause that the seed decides.

    Args:
        draw: decides by chance.
        mean_seconds: mean of the pause.
    """

    def __init__(self, draw: Random, mean_seconds: float = 0.001) -> None:
        self._draw = draw
        self._mean_seconds = mean_seconds

    async def run_sync[T](self, call: Callable[[], T]) -> T:
        """Run the call and return its result; a cancellation prevents it only before it has begun."""
        pause = self._draw.expovariate(1 / self._mean_seconds)
        if self._draw.random() < 0.5:
            await trio.sleep(pause)
            return call()
        await trio.lowlevel.checkpoint_if_cancelled()
        result = call()
        with trio.CancelScope(shield=True):
            await trio.sleep(pause)
        return result


class World:
    """A simulated run.

    Args:
        seed: decides whatever is left to chance.
        folder: an empty folder for the files of its processes.
        kept: how many of the last events to keep.

    Attributes:
        seed: decides whatever is left to chance.
        folder: for the files of its processes.
        log: the events.
        network: between the processes.
        violations: what must not have happened, in order.
    """

    def __init__(self, seed: int, folder: Path, *, kept: int = 50) -> None:
        self.seed = seed
        self.folder = folder
        self._time = SimulatedTime(trio.current_time())
        self.log = EventLog(self._time.elapsed, kept=kept)
        self.timeline = Timeline()
        self.network = SimulatedNetwork(self.timeline, self.draw("network"), self.log)
        self.violations: list[str] = []
        self._processes: dict[str, SimulatedProcess] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def now(self) -> float:
        """Seconds since the start, as no process can know them."""
        return self._time.elapsed()

    def draw(self, name: str) -> Random:
        """Return a source of chance of its own for this purpose, so that one does not change what another draws."""
        return Random(blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest())

    def violated(self, what: str) -> None:
        """Record that an invariant does not hold."""
        self.log.add("VIOLATION", what)
        self.violations.append(f"{self.now:.3f} s: {what}")

    def start(self, name: str, main: Main, *, restart: bool = True) -> SimulatedProcess:
        """Start a process on a host of its own.

        Args:
            name: of both.
            main: runs it.
            restart: whether it is started again half a second after it has ended.
        """
        assert self._nursery is not None
        process = SimulatedProcess(name, main, self._time.elapsed)
        self.network.address_of(name)
        process.on_crash(lambda gone: self.network.close_all(gone.name))
        self._processes[name] = process
        self._nursery.start_soon(self._keep_running, process, restart, name=name)
        return process

    def process(self, name: str) -> SimulatedProcess:
        """Return the process of this name."""
        return self._processes[name]

    async def _keep_running(self, process: SimulatedProcess, restart: bool) -> None:
        while True:
            self.log.add("start", process.name)
            try:
                await process.run()
            except Exception as error:  # noqa: BLE001 - the root of a process: it ends, and the log says why
                causes = list(_causes(error))
                self.log.add("died", process.name, *(type(cause).__name__ for cause in causes))
                self.log.note("; ".join(f"{type(cause).__name__}: {cause}" for cause in causes))
            self.network.close_all(process.name)
            self.log.add("ended", process.name)
            if not restart:
                return
            await trio.sleep(_RESTART_SECONDS)

    async def run(self, main: Callable[["World"], Awaitable[None]]) -> None:
        """Run `main` in this world, then end every process."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self.timeline.run)
            nursery.start_soon(self._watch_progress)
            await main(self)
            for process in self._processes.values():
                process.crash()
            nursery.cancel_scope.cancel()

    async def _watch_progress(self) -> None:
        # A loop that never waits would let no other task in; one that waits for nothing lets this one in.
        for seconds in count(1):
            if not seconds % _COLLECT_SECONDS:
                gc.collect()
            before = time.process_time()
            await trio.sleep(1)
            if time.process_time() - before > _BUSY_CPU_SECONDS:
                raise Stuck(f"a simulated second took more than {_BUSY_CPU_SECONDS:g} s of CPU time")


def simulate(seed: int, main: Callable[[World], Awaitable[None]], *, kept: int = 50) -> World:
    """Run `main` in a new world until it returns, and return the world.

    Time, chance, threads and sockets of this process are those of the world meanwhile: nothing else may run in it.

    Args:
        seed: decides whatever is left to chance.
        main: builds processes in the world, and waits.
        kept: how many of the last events to keep.

    Raises:
        ExceptionGroup: what `main` or a task of the world raises.
    """
    with (
        tempfile.TemporaryDirectory(prefix="simulated-", dir=_memory_folder()) as folder,
        _deterministic(seed),
        _collected_by_the_clock(),
    ):
        return trio.run(_run, seed, main, Path(folder), kept, clock=trio.testing.MockClock(autojump_threshold=0))


async def _run(seed: int, main: Callable[[World], Awaitable[None]], folder: Path, kept: int) -> World:
    world = World(seed, folder, kept=kept)
    world.network.install()
    with (
        clock.installed(world._time),
        randomness.installed(world.draw("randomness")),
        threads.installed(InTheLoop(world.draw("threads"))),
    ):
        await world.run(main)
    return world


class _Scheduler(Protocol):
    _ALLOW_DETERMINISTIC_SCHEDULING: bool
    _r: Random


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Let the seed decide in which order Trio runs tasks; pytest-trio and Hypothesis do it in the same way."""
    # Here, so that the policies are not loaded before a defect is planted in them.
    from cqox.resilience.runtime.randomness import shared_rng

    scheduler = cast("_Scheduler", trio._core._run)
    before, state, jitter = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r.getstate(), shared_rng.getstate()
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(seed)
    shared_rng.seed(seed)
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = before
        scheduler._r.setstate(state)
        shared_rng.setstate(jitter)


@contextmanager
def _collected_by_the_clock() -> Iterator[None]:
    """Collect garbage at simulated times only: those of Python depend on earlier allocations."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    # What is there by now is no garbage of the world.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _memory_folder() -> str | None:
    return next((folder for folder in ("/dev/shm",) if Path(folder).is_dir()), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error
