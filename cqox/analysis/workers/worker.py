"""The contract of one worker, as the pool uses it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.reply import Reply

__all__ = ["Progress", "Serve", "StartWorker", "Worker"]

type Progress = Callable[[Mapping[str, object]], None]
"""Called in the event loop with each step reported by a worker; must not block."""

type Serve = Callable[[Mapping[str, object]], Awaitable[bytes]]
"""Answers a question of a task, which waits. An exception ends the task, and is the result of `Worker.run`."""


class StartWorker(Protocol):
    """Starts a worker, see `WorkerProcess.start`."""

    async def __call__(self, *, work: str, limits: ProcessLimits, threads: int) -> "Worker":
        """Return a worker that is ready for its first task."""
        ...


class Worker(Protocol):
    """Runs one task at a time, outside of the event loop. `WorkerProcess` is one."""

    confined: tuple[str, ...]

    @property
    def pid(self) -> int:
        """Number of the process."""
        ...

    @property
    def alive(self) -> bool:
        """True while it accepts tasks: it has neither exited nor been killed."""
        ...

    @property
    def abandoned(self) -> bool:
        """True while it still runs a task of a cancelled caller: it needs `settle`, and accepts no task."""
        ...

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        serve: Serve | None = None,
    ) -> Reply:
        """Run a task and return its result, see `WorkerProcess.run`."""
        ...

    async def settle(self, seconds: float) -> None:
        """Let an abandoned task end by itself within this CPU time, or kill the worker."""
        ...

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, in seconds."""
        ...

    def memory_bytes(self) -> int:
        """Return the resident memory, in bytes; 0 once it has ended."""
        ...

    def kill(self) -> None:
        """Kill the worker."""
        ...

    async def ended(self) -> None:
        """Wait until it has ended, then release its resources."""
        ...
