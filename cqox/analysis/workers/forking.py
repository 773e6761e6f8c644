"""Start of worker processes by forks of a template, which share its memory; plain starts where that fails.

The template (`cqox.analysis.workers.template`) is replaced when it has exited; workers that it has forked go on. Where
two starts in a row fail, workers are started as processes of their own from then on.
"""

import ctypes
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Self

import anyio
from anyio.abc import Process

from cqox.analysis.workers.environment import template_environment
from cqox.analysis.workers.forked import ForkedProcess
from cqox.analysis.workers.lifeline import arm
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.process import WorkerProcess
from cqox.errors import LimitExceeded, WorkerLost

__all__ = ["Forking", "can_fork"]

_logger = logging.getLogger("cqox.analysis.workers")
_FAILURES_TO_GIVE_UP = 2
_LOAD_SECONDS = 120.0
_FORK_SECONDS = 30.0
_LONGEST_BYTES = 4096
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


class TemplateFailed(Exception):
    """The template exited, was silent, or has threads."""


def can_fork() -> bool:
    """Return whether this system has what forking needs: Linux, with descriptors of processes and lists of threads."""
    if sys.platform != "linux" or not os.path.isdir("/proc/self/task"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class Forking:
    """Starts workers of one kind; `start` is a `StartWorker`.

    Args:
        work: module of the tasks, see `cqox.analysis.workers.child.Work`.
        threads: threads of one worker.
    """

    def __init__(self, *, work: str, threads: int) -> None:
        self._work = work
        self._threads = threads
        self._template: _Template | None = None
        # One request at a time: the answers have no names.
        self._turn = anyio.Lock()
        self._failures = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, *, work: str, threads: int) -> AsyncIterator[Self]:
        """Adopt orphans while the block runs, which is how workers become children of this process; end the template.

        Workers have to end within the block, as those of a `WorkerPool` that is opened in it do.
        """
        forking = cls(work=work, threads=threads)
        with _adopting():
            try:
                yield forking
            finally:
                with anyio.CancelScope(shield=True):
                    await forking._discard()

    @property
    def template_pid(self) -> int | None:
        """Process id of the template; None while there is none."""
        return None if self._template is None else self._template.process.pid

    async def start(self, *, work: str, limits: ProcessLimits, threads: int) -> WorkerProcess:
        """Start a worker, see `WorkerProcess.start`.

        Raises:
            OSError: no process can be started now, which is no fault of the template.
        """
        if (work, threads) == (self._work, self._threads):
            while self._failures < _FAILURES_TO_GIVE_UP:
                try:
                    worker = await self._fork(limits)
                except (TemplateFailed, WorkerLost, LimitExceeded) as error:
                    self._failed(error)
                else:
                    self._failures = 0
                    return worker
        return await WorkerProcess.start(work=work, limits=limits, threads=threads)

    async def _fork(self, limits: ProcessLimits) -> WorkerProcess:
        async with self._turn:
            try:
                template = await self._current()
                process, ours, held = await _forked(template, limits)
            except TemplateFailed:
                await self._discard()
                raise
        try:
            return await WorkerProcess.admit(process, ours, held, limits)
        except (WorkerLost, LimitExceeded):
            async with self._turn:
                if self._template is template:
                    await self._discard()
            raise

    async def _current(self) -> "_Template":
        """Return the template, started or replaced where that is needed."""
        if self._template is not None and self._template.process.returncode is not None:
            _logger.warning("The template of the worker processes has exited, and is replaced.")
            await self._discard()
        if self._template is None:
            # Kept before it is ready: a start that is cancelled leaves it to the next one.
            self._template = await _Template.start(work=self._work, threads=self._threads)
        await self._template.loaded()
        return self._template

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        _logger.warning("A worker process was not forked (%d in a row): %s", self._failures, error)
        if self._failures == _FAILURES_TO_GIVE_UP:
            _logger.warning("Worker processes share no memory from now on: they are started one by one.")

    async def _discard(self) -> None:
        template, self._template = self._template, None
        if template is not None:
            with anyio.CancelScope(shield=True):
                await template.end()


class _Template:
    """The process that forks, and its socket."""

    def __init__(self, process: Process, connection: socket.socket, held: int) -> None:
        self.process = process
        self._connection = connection
        self._held = held
        self._loaded = False

    @classmethod
    async def start(cls, *, work: str, threads: int) -> Self:
        """Start a process; it has loaded nothing yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, held = os.pipe()
        ours.setblocking(False)
        handles = (theirs.fileno(), lifeline)
        try:
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    [sys.executable, "-m", "cqox.analysis.workers.template", *map(str, handles), work],
                    stdin=subprocess.DEVNULL,
                    stdout=None,
                    stderr=None,
                    env=template_environment(os.environ, threads=threads),
                    start_new_session=True,
                    pass_fds=handles,
                )
                # The process arms it too, but it may be stopped before.
                arm(lifeline, process.pid)
        except BaseException:
            ours.close()
            os.close(held)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        return cls(process, ours, held)

    async def loaded(self) -> None:
        """Wait until the tasks are loaded.

        Raises:
            TemplateFailed: it exited, or has threads, or was silent for too long.
        """
        if not self._loaded:
            await self._answer(_LOAD_SECONDS)
            self._loaded = True

    async def fork(self, limits: ProcessLimits, handles: tuple[int, int]) -> int:
        """Fork a worker with these limits, socket and lifeline, and return its process id.

        Raises:
            OSError: the system starts no process now.
            TemplateFailed: it exited, or has threads, or was silent for too long.
        """
        try:
            socket.send_fds(self._connection, [limits.to_argument().encode()], handles)
        except OSError as error:
            raise TemplateFailed(f"the template takes no requests: {error}") from error
        pid = (await self._answer(_FORK_SECONDS))["pid"]
        if not isinstance(pid, int) or pid <= 0:
            raise TemplateFailed("the worker process exited at once")
        return pid

    async def _answer(self, seconds: float) -> dict[str, object]:
        data = None
        with anyio.move_on_after(seconds):
            while data is None:
                await anyio.wait_readable(self._connection)
                with suppress(BlockingIOError):
                    data = self._connection.recv(_LONGEST_BYTES)
        if data is None:
            raise TemplateFailed(f"the template was silent for {seconds:g} seconds")
        if not data:
            raise TemplateFailed("the template exited")
        answer = dict[str, object](json.loads(data))
        if threads := answer["threads"]:
            raise TemplateFailed(f"the template has threads, which a fork would leave behind: {threads}")
        if isinstance(number := answer["errno"], int) and number:
            raise OSError(number, os.strerror(number))
        return answer

    async def end(self) -> None:
        """Kill the process, and release its resources."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        self._connection.close()
        os.close(self._held)


async def _forked(template: _Template, limits: ProcessLimits) -> tuple[ForkedProcess, socket.socket, int]:
    """Fork a worker, and return it with this end of its socket and of its lifeline."""
    ours, theirs = socket.socketpair()
    lifeline, held = os.pipe()
    ours.setblocking(False)
    try:
        # Shielded: a cancelled start would leak the process.
        with anyio.CancelScope(shield=True):
            process = ForkedProcess(await template.fork(limits, (theirs.fileno(), lifeline)))
    except BaseException:
        ours.close()
        # The lifeline ends a worker that was forked all the same.
        os.close(held)
        raise
    finally:
        theirs.close()
        os.close(lifeline)
    return process, ours, held


@contextmanager
def _adopting() -> Iterator[None]:
    """Make this process the parent of orphans among its descendants."""
    control = ctypes.CDLL(None).prctl
    before = ctypes.c_int()
    control(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    control(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        control(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)
