"""Bounded pool of warm worker processes.

Every slot has one supervising task: start a process, wait until it exits, restart it. A caller acquires an idle
process, in FIFO order, runs one task on it, and returns it.

A cancelled caller leaves its task behind. Most tasks notice that within milliseconds and end by themselves, so that
many cancellations cost no processes; the process of a task that does not is killed.
"""

import logging
import math
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from threading import Lock
from typing import Self

import anyio

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.process import WorkerProcess
from cqox.analysis.workers.reply import Reply
from cqox.analysis.workers.worker import Progress, Serve, StartWorker, Worker
from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, WorkerLost, WorkersUnavailable
from cqox.tasks import TaskGroup, open_task_group

__all__ = ["GRACE_SECONDS", "WorkerPool"]

_logger = logging.getLogger("cqox.analysis.workers")
_FAILURES_TO_GIVE_UP = 3
_MAX_PAUSE_SECONDS = 5.0
_UNLIMITED = ProcessLimits()
GRACE_SECONDS = 0.06
"""CPU time that an abandoned task may use before its process is killed, in seconds."""


class _Claim:
    """A caller that waits for a process."""

    __slots__ = ("settled", "worker")

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.worker: Worker | None = None

    def grant(self, worker: Worker) -> None:
        self.worker = worker
        self.settled.set()


class WorkerPool:
    """Processes that run named tasks, at most `size` at a time.

    Args:
        work: module of the tasks, see `cqox.analysis.workers.child.Work`.
        size: maximum number of concurrent tasks.
        spares: additional warm processes, so that a killed one is replaced at once.
        limits: resource limits of one process.
        threads: threads of one process.
        start: starts a worker; a process by default.
    """

    def __init__(
        self,
        *,
        work: str,
        size: int,
        spares: int = 1,
        limits: ProcessLimits = _UNLIMITED,
        threads: int = 1,
        start: StartWorker | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        if spares < 0:
            raise ValueError(f"spares must be at least 0, not {spares}")
        self._work = work
        self._slots = size + spares
        self._limits = limits
        self._threads = threads
        self._start = start
        self._running = anyio.CapacityLimiter(size)
        # Concurrent starts would compete for the CPU, and delay the first warm process.
        self._starting = anyio.CapacityLimiter(max(1, (os.process_cpu_count() or 1) // 2))
        self._idle: deque[Worker] = deque()
        self._claims: deque[_Claim] = deque()
        self._warmed = anyio.Event()
        self._group: TaskGroup | None = None
        # Number of consecutive failed starts, and until when further failures count as the same one.
        self._failures = 0
        self._try_again_at = -math.inf
        self._confined: tuple[str, ...] | None = None
        self._accounts = Lock()
        self._workers: list[Worker] = []
        # CPU time of the processes that have ended, in seconds.
        self._ended_seconds = 0.0
        self.restarts = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        work: str,
        size: int,
        spares: int = 1,
        limits: ProcessLimits = _UNLIMITED,
        threads: int = 1,
        start: StartWorker | None = None,
    ) -> AsyncIterator[Self]:
        """Open a pool that starts its processes in the background; end all of them on exit."""
        pool = cls(work=work, size=size, spares=spares, limits=limits, threads=threads, start=start)
        async with open_task_group() as group:
            pool._group = group
            for slot in range(pool._slots):
                group.start_soon(pool._supervise, name=f"worker slot {slot}")
            try:
                yield pool
            finally:
                group.cancel_scope.cancel()

    @property
    def idle(self) -> int:
        """Number of warm idle processes."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Number of running tasks."""
        return self._running.borrowed_tokens

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes so far, those that have ended included, in seconds. For any thread."""
        # Of a process that ends meanwhile exactly one of the two has the time: a sum that falls looks like a restart.
        with self._accounts:
            return self._ended_seconds + sum(worker.cpu_seconds() for worker in self._workers)

    def memory_bytes(self) -> int:
        """Return the resident memory of all processes, in bytes. For any thread."""
        with self._accounts:
            return sum(worker.memory_bytes() for worker in self._workers)

    async def ready(self) -> None:
        """Wait until a process is warm and idle."""
        while not self._idle:
            await self._warmed.wait()

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        *,
        serve: Serve | None = None,
        spent: Callable[[float], None] | None = None,
    ) -> Reply:
        """Run a task and return its result, see `WorkerProcess.run`. Waits for a slot and a warm process first.

        A cancellation returns at once and releases the slot. A task that had started ends by itself within
        `GRACE_SECONDS` of CPU time, or its process is killed.

        Args:
            name: the task.
            arguments: its arguments.
            progress: called with every step.
            serve: answers the questions of the task; None for a task that has none.
            spent: called at the end, however it comes, with the CPU seconds that the process has used for the task.

        Raises:
            WorkersUnavailable: processes do not start, so the task was not run.
        """
        async with self._running:
            worker = await self._take()
            began = worker.cpu_seconds()
            try:
                return await worker.run(name, arguments, progress, serve)
            finally:
                if spent is not None:
                    spent(max(0.0, worker.cpu_seconds() - began))
                if worker.abandoned and self._group is not None:
                    self._group.start_soon(self._settle, worker, name=f"abandoned {name}")
                else:
                    self._offer(worker)

    async def _settle(self, worker: Worker) -> None:
        await worker.settle(GRACE_SECONDS)
        self._offer(worker)

    async def _take(self) -> Worker:
        """Acquire the next idle process, in FIFO order."""
        join = self._claims.append
        while True:
            while self._idle:
                worker = self._idle.popleft()
                if worker.alive:
                    return worker
            if self._failures >= _FAILURES_TO_GIVE_UP:
                raise WorkersUnavailable(Message("analysis.workers-do-not-start"))
            claim = _Claim()
            join(claim)
            try:
                await claim.settled.wait()
            except BaseException:
                if claim.worker is not None:
                    self._offer(claim.worker)
                elif claim in self._claims:
                    self._claims.remove(claim)
                raise
            if claim.worker is not None and claim.worker.alive:
                return claim.worker
            # The granted process has died: the caller keeps its place in the queue.
            join = self._claims.appendleft

    def _offer(self, worker: Worker) -> None:
        """Grant an idle process to the caller that has waited longest, or keep it idle."""
        if not worker.alive:
            return
        if self._claims:
            self._claims.popleft().grant(worker)
            return
        self._idle.append(worker)
        self._warmed.set()
        self._warmed = anyio.Event()

    async def _supervise(self) -> None:
        while True:
            async with self._starting:
                worker, began, start = None, anyio.current_time(), self._start or WorkerProcess.start
                try:
                    worker = await start(work=self._work, limits=self._limits, threads=self._threads)
                except (WorkerLost, LimitExceeded, OSError) as error:
                    self._start_failed(error, began)
            if worker is None:
                await anyio.sleep_until(self._try_again_at)
                continue
            self._failures, self._try_again_at = 0, -math.inf
            self._say_how_confined(worker)
            with self._accounts:
                self._workers.append(worker)
            self._offer(worker)
            try:
                await worker.ended()
            finally:
                worker.kill()
                with anyio.CancelScope(shield=True):
                    await worker.ended()
                self._forget(worker)
            self.restarts += 1

    def _forget(self, worker: Worker) -> None:
        with self._accounts:
            self._ended_seconds += worker.cpu_seconds()
            self._workers.remove(worker)

    def _start_failed(self, error: Exception, began: float) -> None:
        """Count concurrent failed starts as one: those that began before the end of the backoff after the last one.

        Processes that start together fail for the same reason, which is no evidence that it persists. So callers learn
        after the same number of rounds that no process starts, independent of the number of slots.
        """
        if began >= self._try_again_at:
            self._failures += 1
            pause = min(_MAX_PAUSE_SECONDS, 0.1 * math.pow(2, min(self._failures, 10)))
            self._try_again_at = anyio.current_time() + pause
        _logger.error("A worker process did not start (%d in a row): %s", self._failures, error)
        if self._failures >= _FAILURES_TO_GIVE_UP:
            while self._claims:
                self._claims.popleft().settled.set()

    def _say_how_confined(self, worker: Worker) -> None:
        """Log the restrictions of workers once, and again if those of another worker differ."""
        if worker.confined == self._confined:
            return
        self._confined = worker.confined
        if "no-network" in worker.confined:
            _logger.info("Worker processes are confined: %s.", ", ".join(worker.confined))
        else:
            _logger.warning(
                "Worker processes, which read the files of clients, are not isolated from the network and from other "
                "processes: this system does not support seccomp filters for them. In force: %s.",
                ", ".join(worker.confined) or "nothing",
            )
