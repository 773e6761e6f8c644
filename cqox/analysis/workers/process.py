"""Engine side of one worker process."""

import contextlib
import errno
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Self

import anyio
import anyio.lowlevel
from anyio.abc import Process, UNIXSocketStream

from cqox import telemetry
from cqox.analysis.workers.environment import worker_environment
from cqox.analysis.workers.failures import raised
from cqox.analysis.workers.forked import ForkedProcess
from cqox.analysis.workers.lifeline import arm
from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.protocol import Decoder, Frame, FrameError, encode
from cqox.analysis.workers.reply import Reply
from cqox.analysis.workers.stillness import Stillness, near_memory_limit
from cqox.analysis.workers.worker import Progress, Serve
from cqox.contract.messages import Message
from cqox.errors import CqoxError, LimitExceeded, WorkerLost
from cqox.telemetry import TraceContext

__all__ = ["WorkerProcess"]

_RECEIVE_BYTES = 256 * 1024
_REAP_SECONDS = 1.0
_SEND_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_START_SECONDS = 120.0
_LOOKS = 12
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MOST_TIMES_THE_CPU = 10
_ENDS = frozenset({"result", "error", "cancelled"})
_logger = logging.getLogger("cqox.analysis.workers")


class WorkerProcess:
    """A process that runs one task at a time.

    Attributes:
        confined: restrictions in force, see `cqox.analysis.workers.confinement.confine`.
    """

    def __init__(
        self, process: Process | ForkedProcess, stream: UNIXSocketStream, lifeline: int, limits: ProcessLimits
    ) -> None:
        self._process = process
        self._stream = stream
        self._lifeline = lifeline
        self._limits = limits
        self.confined: tuple[str, ...] = ()
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self._jobs = 0
        self._doomed = False
        self._abandoned: int | None = None
        self._measured_seconds = 0.0

    @classmethod
    async def start(cls, *, work: str, limits: ProcessLimits, threads: int) -> Self:
        """Start a process and wait until it has loaded its modules and is ready for its first task.

        Args:
            work: module of the tasks, see `cqox.analysis.workers.child.Work`.
            limits: resource limits.
            threads: threads for row passes and for reading tables.

        A cancellation ends the process.

        Raises:
            WorkerLost: it exited before it was ready.
        """
        ours, theirs = socket.socketpair()
        lifeline, held = os.pipe()
        ours.setblocking(False)
        handles = (theirs.fileno(), lifeline)
        command = [sys.executable, "-m", "cqox.analysis.workers.child", *map(str, handles), limits.to_argument(), work]
        try:
            # Shielded: a cancelled start would leak the process.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=None,
                    stderr=None,
                    env=worker_environment(os.environ, threads=threads),
                    start_new_session=True,
                    pass_fds=handles,
                )
                # The process leads its own group. It arms the lifeline itself too, but it may be stopped before.
                arm(lifeline, process.pid)
        except BaseException:
            ours.close()
            os.close(held)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        return await cls.admit(process, ours, held, limits)

    @classmethod
    async def admit(
        cls, process: Process | ForkedProcess, connection: socket.socket, lifeline: int, limits: ProcessLimits
    ) -> Self:
        """Wait until a process that has been started is ready for its first task.

        Args:
            process: the process; ended if it does not become ready.
            connection: this end of the socket to it.
            lifeline: this end of its lifeline.
            limits: its resource limits.

        A cancellation ends the process.

        Raises:
            WorkerLost: it exited before it was ready.
        """
        worker = cls(process, await UNIXSocketStream.from_socket(connection), lifeline, limits)
        try:
            with anyio.move_on_after(_START_SECONDS) as scope:
                first = await worker._receive()
            if scope.cancelled_caught:
                raise WorkerLost(Message("analysis.worker-not-ready", pid=worker.pid, seconds=_START_SECONDS))
            if first.kind != "ready":
                raise WorkerLost(Message("analysis.worker-began-with", frame=first.kind))
            worker.confined = _words(first.body.get("confined"))
        except BaseException:
            worker.kill()
            with anyio.CancelScope(shield=True):
                await worker.ended()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the process accepts tasks: it has neither exited nor been killed."""
        return not self._doomed and self._process.returncode is None

    @property
    def abandoned(self) -> bool:
        """True while the process still runs a task of a cancelled caller: it needs `settle`, and accepts no task."""
        return self._abandoned is not None and self.alive

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        serve: Serve | None = None,
    ) -> Reply:
        """Run a task and return its result.

        A cancellation leaves the process `abandoned`, and so does an exception of `serve`; any other kills it.

        Args:
            name: the task.
            arguments: its arguments.
            progress: called with every step.
            serve: answers the questions of the task; None for a task that has none.

        Raises:
            InputError: the task rejected its input; the same class and message as raised in the process.
            LimitExceeded: it exceeded its memory limit.
            StoreUnavailable: it could not write to the data directory.
            TaskFailed: it raised any other exception.
            WorkerLost: the process exited, did nothing for a long time, or answered another job.
        """
        with telemetry.span(f"worker {name}", {"process.pid": self.pid}) as span:
            return await self._run(name, arguments, progress, serve, span.context if span.recording else None)

    async def _run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None,
        serve: Serve | None,
        trace: TraceContext | None,
    ) -> Reply:
        self._jobs += 1
        job = self._jobs
        last: Mapping[str, object] = {}
        waits = False
        # A caller cancelled before this point must not cost a process, nor one cancelled in the middle of a frame.
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            body: dict[str, object] = {"name": name, "arguments": dict(arguments)}
            if trace is not None:
                body["trace"] = trace.traceparent
            with anyio.move_on_after(_SEND_SECONDS, shield=True) as sending:
                await self._send(encode(Frame(kind="task", job=job, body=body)))
            if sending.cancelled_caught:
                raise WorkerLost(Message("analysis.task-not-taken", pid=self.pid, seconds=_SEND_SECONDS))
            self._abandoned = job
            while True:
                frame = await self._awaited()
                if frame.kind == "log":
                    _relay(frame)
                    continue
                if frame.job != job:
                    raise WorkerLost(Message("analysis.wrong-job", pid=self.pid, job=frame.job, expected=job))
                if frame.kind == "progress" and progress is not None:
                    self.cpu_seconds()
                    progress(frame.body)
                elif frame.kind == "span":
                    last = frame.body
                    telemetry.adopt(last)
                elif frame.kind == "ask" and serve is not None:
                    waits = True
                    payload = await serve(frame.body)
                    waits = False
                    await self._answer(job, payload)
                elif frame.kind == "result":
                    self._abandoned = None
                    return Reply(body=frame.body, payload=frame.payload)
                elif frame.kind == "error":
                    self._abandoned = None
                    break
        except BaseException as error:
            # A process that violates the protocol cannot be reused; one that waits for an answer can be cancelled.
            if self._abandoned is None or not (waits or isinstance(error, anyio.get_cancelled_exc_class())):
                self.kill()
            telemetry.unfinished(last)
            raise
        raise raised(name, frame)

    async def _answer(self, job: int, payload: bytes) -> None:
        # Shielded: half a frame would be no frame.
        with anyio.move_on_after(_ANSWER_SECONDS, shield=True) as sending:
            await self._send(encode(Frame(kind="answer", job=job, payload=payload)))
        if sending.cancelled_caught:
            raise WorkerLost(Message("analysis.task-not-taken", pid=self.pid, seconds=_ANSWER_SECONDS))

    async def settle(self, seconds: float) -> None:
        """Let an abandoned task end by itself, and kill the process if it does not in time.

        A process that is `alive` afterwards accepts tasks again. A cancellation kills it.

        Args:
            seconds: CPU time that the task may use to reach a cancellation point; at most ten times as long in wall
                time, on a busy machine.
        """
        try:
            with anyio.move_on_after(_MOST_TIMES_THE_CPU * seconds):
                await self._send(encode(Frame(kind="cancel", job=self._jobs)))
                began = self._cpu_seconds()
                while self._abandoned is not None and self._cpu_seconds() - began < seconds:
                    with anyio.move_on_after(seconds / 4):
                        await self._discard()
        except CqoxError:
            pass  # It has exited meanwhile, and no caller waits for its task.
        finally:
            if self._abandoned is not None:
                self.kill()

    async def _discard(self) -> None:
        """Discard frames of an abandoned task until it has ended."""
        while self._abandoned is not None:
            frame = await self._receive()
            if frame.kind == "log":
                _relay(frame)
            elif frame.job != self._abandoned:
                raise WorkerLost(Message("analysis.wrong-job", pid=self.pid, job=frame.job, expected=self._abandoned))
            elif frame.kind in _ENDS:
                self._abandoned = None

    def _cpu_seconds(self) -> float:
        try:
            # Linux encodes the CPU clock of another process in this clock id.
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return math.inf

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process in seconds; once it has exited, that of the last measurement."""
        seconds = self._cpu_seconds()
        if seconds < math.inf:
            self._measured_seconds = max(seconds, self._measured_seconds)
        return self._measured_seconds

    def memory_bytes(self) -> int:
        """Return the resident memory of the process in bytes; 0 once it has exited."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            # A process that is being reaped has no pages any more.
            return 0

    def kill(self) -> None:
        """Kill the process."""
        self.cpu_seconds()
        self._doomed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def ended(self) -> None:
        """Wait until the process has exited, then release its resources."""
        await self._process.wait()
        await anyio.aclose_forcefully(self._stream)
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise await self._lost() from error

    async def _receive(self) -> Frame:
        while not self._frames:
            try:
                data = await self._stream.receive(_RECEIVE_BYTES)
                self._frames.extend(self._decoder.feed(data))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise await self._lost() from error
            except OSError as error:
                if error.errno in (errno.ECONNRESET, errno.EPIPE):
                    raise await self._lost() from error
                raise
            except FrameError as error:
                raise WorkerLost(Message("analysis.invalid-frame", pid=self.pid, reason=str(error))) from error
        return self._frames.pop(0)

    async def _awaited(self) -> Frame:
        """Receive the next frame of a task; end a process that does nothing for it."""
        longest = self._limits.still_seconds
        if not longest:
            return await self._receive()
        between = longest / _LOOKS
        stillness = Stillness(self.pid, self._cpu_seconds)
        while True:
            with anyio.move_on_after(between):
                return await self._receive()
            if stillness.look(between) >= longest and not self._frames:
                raise self._stuck(longest)

    def _stuck(self, seconds: int) -> CqoxError:
        _logger.error("The worker process %d did nothing for its task for %d s, and was ended.", self.pid, seconds)
        if self._limits.memory_bytes and near_memory_limit(self.pid):
            return LimitExceeded(Message("analysis.aborted-out-of-memory"))
        return WorkerLost(Message("analysis.worker-still", pid=self.pid, seconds=seconds))

    async def _lost(self) -> CqoxError:
        wanted = self._doomed
        if not wanted:
            # A status seen before the kill is how it exited by itself.
            with anyio.move_on_after(_REAP_SECONDS, shield=True):
                await self._process.wait()
        how = _how_ended(self._process.returncode)
        self.kill()
        with anyio.move_on_after(_REAP_SECONDS, shield=True):
            await self._process.wait()
        if not wanted:
            _logger.error("The worker process %d was lost in the middle of its task: %s.", self.pid, how)
        if self._process.returncode == -signal.SIGABRT and self._limits.memory_bytes:
            # A failed allocation in Rust or C++ aborts the process instead of raising.
            return LimitExceeded(Message("analysis.aborted-out-of-memory"))
        if self._process.returncode == -signal.SIGXCPU:
            return LimitExceeded(Message("analysis.out-of-cpu-time"))
        return WorkerLost(Message("analysis.worker-ended", pid=self.pid))


def _how_ended(status: int | None) -> str:
    if status is None:
        return "it closed its connection without exiting"
    if status < 0:
        return f"it was killed by {signal.Signals(-status).name}"
    return f"it exited with status {status}"


def _words(given: object) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else ()


def _relay(frame: Frame) -> None:
    level = frame.body.get("level")
    logging.getLogger(str(frame.body["logger"])).log(
        level if isinstance(level, int) else logging.INFO, "%s", frame.body["message"]
    )
