"""Running of seeds, each in a process of its own, and shrinking of those that fail."""

import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from cqox.chaos.simulation.faults import Fault
from cqox.chaos.simulation.system import System
from cqox.chaos.simulation.world import World, simulate

__all__ = ["Outcome", "Task", "run_all", "run_here", "shrink"]

_REAL_SECONDS = 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A seed to run.

    Attributes:
        seed: decides whatever is left to chance.
        minutes: how long the run lasts.
        only: numbers of the faults that happen; all of the seed if None.
        kept: how many of the last events to keep.
    """

    seed: int
    minutes: float
    only: tuple[int, ...] | None = None
    kept: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a run.

    Attributes:
        seed: the seed.
        minutes: how long the run lasted.
        digest: digest of all events, hexadecimal; empty where the run did not end.
        events: number of events.
        violations: what must not have happened.
        cpu_seconds: CPU time of the run.
        faults: the faults that happened, as sentences.
        last: the last events, where something was violated.
    """

    seed: int
    minutes: float
    digest: str
    events: int
    violations: tuple[str, ...]
    cpu_seconds: float
    faults: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """True if nothing was violated."""
        return not self.violations

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return the outcome that a process has written."""
        given = json.loads(text)
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return cls(**given | lists)


def run_here(system: System, task: Task) -> Outcome:
    """Run a seed in this process. What the run needs of the process is its own: nothing else may run in it."""
    began = time.process_time()
    world: World | None = None
    chosen: list[Fault] = []

    async def main(made: World) -> None:
        nonlocal world
        world = made
        faults = system.faults(made.draw("faults"), task.minutes)
        chosen.extend(fault for fault in faults if task.only is None or fault.number in task.only)
        await system.run(made, chosen, task.minutes)

    failure, trace = tuple[str, ...](), list[str]()
    try:
        simulate(task.seed, main, kept=task.kept)
    except BaseException as error:  # noqa: BLE001 - whatever ends a run is what it has shown
        failure = (f"the run ended with {_in_one_line(error)}",)
        trace = "".join(traceback.format_exception(error)).splitlines()
    violations = (*(world.violations if world is not None else ()), *failure)
    return Outcome(
        seed=task.seed,
        minutes=task.minutes,
        digest="" if failure or world is None else world.log.digest,
        events=0 if world is None else world.log.count,
        violations=violations,
        cpu_seconds=round(time.process_time() - began, 3),
        faults=tuple(map(str, chosen)),
        last=(*(world.log.last() if violations and world is not None else ()), *trace),
    )


def run_all(system: System, tasks: Sequence[Task], *, jobs: int = 1) -> Generator[Outcome]:
    """Run tasks in processes of their own, so many at once, and yield each outcome as it comes.

    Args:
        system: prepared; this process must have a single thread.
        tasks: what to run.
        jobs: most processes at once.
    """
    # What is loaded by now is shared by all of them, and never collected.
    gc.collect()
    gc.freeze()
    waiting, running = list(reversed(tasks)), dict[int, _Child]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                child = _Child(system, waiting.pop())
                running[child.reader] = child
            ready, _, _ = select.select(list(running), [], [], 1.0)
            for reader in ready:
                if (outcome := running[reader].read()) is not None:
                    del running[reader]
                    yield outcome
            for child in running.values():
                child.check()
    finally:
        for child in running.values():
            child.kill()
        gc.unfreeze()


class _Child:
    """A process that runs one task.

    Attributes:
        reader: descriptor at which its outcome arrives.
    """

    def __init__(self, system: System, task: Task) -> None:
        self._task = task
        self._began = time.monotonic()
        self._received = bytearray()
        self.reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                os.close(self.reader)
                outcome = run_here(system, task)
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(json.dumps(asdict(outcome)).encode())
                status = 0
            except BaseException:  # noqa: BLE001 - the root of the process
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writer)

    def read(self) -> Outcome | None:
        """Take what has arrived; return the outcome once it is complete."""
        data = os.read(self.reader, 2**16)
        self._received += data
        if data:
            return None
        os.close(self.reader)
        _, status, used = os.wait4(self._pid, 0)
        if self._received and status == 0:
            return Outcome.from_json(bytes(self._received))
        how = (
            f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.waitstatus_to_exitcode(status)}"
        )
        return Outcome(
            seed=self._task.seed,
            minutes=self._task.minutes,
            digest="",
            events=0,
            violations=(f"the process of the run ended with {how}",),
            cpu_seconds=round(used.ru_utime + used.ru_stime, 3),
        )

    def check(self) -> None:
        """Kill a process that does not end."""
        if time.monotonic() - self._began > _REAL_SECONDS:
            os.kill(self._pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self.reader)


def shrink(system: System, outcome: Outcome, *, jobs: int = 1) -> tuple[tuple[int, ...], Outcome]:
    """Find fewer faults of a seed that still violate something.

    Faults are left out one at a time, from the last to the first, for as long as something is still violated.

    Args:
        system: prepared.
        outcome: of a run with violations.
        jobs: most processes at once.

    Returns:
        Numbers of the faults that are left, and what a run with them alone has shown.
    """
    left = tuple(range(len(outcome.faults)))
    for number in reversed(left):
        fewer = tuple(each for each in left if each != number)
        (tried,) = run_all(system, [Task(seed=outcome.seed, minutes=outcome.minutes, only=fewer)], jobs=jobs)
        if not tried.is_clean:
            left, outcome = fewer, tried
    return left, outcome


def _in_one_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
