"""A bounded set of warm worker processes.

Every slot has one task that keeps a process alive in it: start, wait until it is taken and ends, start again. A
caller takes an idle process, runs one task on it, and gives it back; a caller that is cancelled kills its process, and
finds a warm spare next time while the slot starts anew.
"""

import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import anyio

from cqox.analysis.workers.process import Progress, WorkerProcess
from cqox.analysis.workers.reply import Reply
from cqox.errors import LimitExceeded, WorkerLost, WorkersUnavailable
from cqox.tasks import open_task_group

__all__ = ["WorkerPool"]

_logger = logging.getLogger("cqox.analysis.workers")
_FAILURES_TO_GIVE_UP = 3
_MAX_PAUSE_SECONDS = 5.0


class WorkerPool:
    """Processes that run named tasks, at most `size` at a time.

    Args:
        work: the module that holds the tasks, see `cqox.analysis.workers.child.Work`.
        size: how many tasks may run at once.
        spares: warm processes beyond that, so that a killed one is replaced at once.
        memory_bytes: what one process may use beyond its own code, 0 for no bound.
        threads: threads of one process.
    """

    def __init__(self, *, work: str, size: int, spares: int = 1, memory_bytes: int = 0, threads: int = 1) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        if spares < 0:
            raise ValueError(f"spares must be at least 0, not {spares}")
        self._work = work
        self._slots = size + spares
        self._memory_bytes = memory_bytes
        self._threads = threads
        self._running = anyio.CapacityLimiter(size)
        self._idle: deque[WorkerProcess] = deque()
        self._changed = anyio.Condition()
        self._begun = anyio.Event()
        self._failures = 0
        self.restarts = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, work: str, size: int, spares: int = 1, memory_bytes: int = 0, threads: int = 1
    ) -> AsyncIterator[Self]:
        """A pool that begins to start its processes; all of them are ended on leaving."""
        pool = cls(work=work, size=size, spares=spares, memory_bytes=memory_bytes, threads=threads)
        async with open_task_group() as group:
            for slot in range(pool._slots):
                group.start_soon(pool._tend, slot > 0, name=f"worker slot {slot}")
            try:
                yield pool
            finally:
                group.cancel_scope.cancel()

    @property
    def idle(self) -> int:
        """How many processes are warm and free."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """How many tasks are running."""
        return self._running.borrowed_tokens

    async def ready(self) -> None:
        """Wait until a process is warm and free."""
        async with self._changed:
            while not self._idle:
                await self._changed.wait()

    async def run(self, name: str, arguments: Mapping[str, object], progress: Progress | None = None) -> Reply:
        """What the task returns, see `WorkerProcess.run`. Waits for a place and a warm process first.

        A cancellation while waiting leaves at once; while running it kills the process.

        Raises:
            WorkersUnavailable: processes do not start, so that the task was not tried.
        """
        async with self._running:
            worker = await self._take()
            try:
                return await worker.run(name, arguments, progress)
            finally:
                if worker.alive:
                    self._idle.append(worker)
                    with anyio.CancelScope(shield=True):
                        await self._notify()

    async def _take(self) -> WorkerProcess:
        async with self._changed:
            while True:
                while self._idle:
                    worker = self._idle.popleft()
                    if worker.alive:
                        return worker
                if self._failures >= _FAILURES_TO_GIVE_UP:
                    raise WorkersUnavailable("Worker processes do not start; the log says why.")
                await self._changed.wait()

    async def _tend(self, waits: bool) -> None:
        if waits:
            # All at once they would take the CPU from each other, and the first would be warm as late as the last.
            await self._begun.wait()
        while True:
            try:
                worker = await WorkerProcess.start(
                    work=self._work, memory_bytes=self._memory_bytes, threads=self._threads
                )
            except (WorkerLost, LimitExceeded, OSError) as error:
                self._begun.set()
                self._failures += 1
                _logger.error("A worker process did not start (%d in a row): %s", self._failures, error)
                await self._notify()
                await anyio.sleep(min(_MAX_PAUSE_SECONDS, 0.1 * math.pow(2, min(self._failures, 10))))
                continue
            self._begun.set()
            self._failures = 0
            self._idle.append(worker)
            try:
                await self._notify()
                await worker.ended()
            finally:
                worker.kill()
                with anyio.CancelScope(shield=True):
                    await worker.ended()
            self.restarts += 1

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
