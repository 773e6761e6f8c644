"""Child processes that live and end together, in order, with one signal each.

Every child is the leader of a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, which
passes it on once. Children end in the opposite order of their start, one fully before the next.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import trio
import trio.to_thread

from cqox.tasks import open_task_group

__all__ = ["Program", "supervise"]

_KEPT_LINES = 10
_LAST_WORDS_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One child.

    Attributes:
        name: what people call it.
        command: program and arguments.
        environment: the whole environment.
        stop_seconds: how long it may take to end once it has been told to.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_seconds: float


class _Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process = subprocess.Popen(
            program.command,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Started from the main thread, which lives as long as the process: the signal follows the thread.
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        assert self.process.stdout is not None
        self._output = os.dup(self.process.stdout.fileno())
        self.process.stdout.close()
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.ended = trio.Event()
        self.silent = trio.Event()

    async def relay(self, write: Callable[[str], None]) -> None:
        """Pass each line on until the child closes its output."""
        rest = b""
        async with trio.lowlevel.FdStream(self._output) as stream:
            while data := await stream.receive_some():
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    self._line(line, write)
        if rest:
            self._line(rest, write)
        self.silent.set()

    async def wait(self) -> None:
        """Return when the child has ended."""
        await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
        self.ended.set()

    def kill(self) -> None:
        """End the child and whatever it has started, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _line(self, line: bytes, write: Callable[[str], None]) -> None:
        text = line.decode("utf-8", "replace")
        self.lines.append(text)
        write(text)


class _Supervisor:
    def __init__(self, say: Callable[[str], None], write: Callable[[str], None]) -> None:
        self._say = say
        self._write = write
        self._children: list[_Child] = []
        self._stop = trio.Event()
        self._signal = signal.SIGTERM
        self._status = 0

    async def run(self, programs: Sequence[Program], attend: Callable[[], Awaitable[bool]]) -> int:
        async with open_task_group("children") as group:
            group.start_soon(self._watch_signals)
            for program in programs:
                child = _Child(program)
                self._children.append(child)
                group.start_soon(child.relay, self._write)
                group.start_soon(self._watch, child)
            try:
                group.start_soon(self._attend, attend)
                await self._stop.wait()
                for child in reversed(self._children):
                    await self._end(child)
            finally:
                for child in self._children:
                    child.kill()
            group.cancel_scope.cancel()
        return self._status

    async def _attend(self, attend: Callable[[], Awaitable[bool]]) -> None:
        if not await attend():
            self._status = _FAILED
            self._stop.set()

    async def _watch(self, child: _Child) -> None:
        await child.wait()
        with trio.move_on_after(_LAST_WORDS_SECONDS):
            await child.silent.wait()
        code = child.process.returncode
        if not self._stop.is_set():
            last = "\n".join(f"    {line}" for line in child.lines)
            self._say(f"The {child.program.name} ended by itself {_how(code)}. Its last lines:\n{last}")
            self._status = _FAILED
            self._stop.set()
        elif code != 0:
            self._say(f"The {child.program.name} ended {_how(code)}.")
            self._status = _FAILED

    async def _watch_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if self._stop.is_set():
                    self._say("Ending at once.")
                    self._status = _FAILED
                    for child in self._children:
                        child.kill()
                else:
                    self._signal = signal.Signals(number)
                    self._stop.set()

    async def _end(self, child: _Child) -> None:
        if child.process.poll() is None:
            child.process.send_signal(self._signal)
            with trio.move_on_after(child.program.stop_seconds) as patience:
                await child.ended.wait()
            if patience.cancelled_caught:
                self._say(f"The {child.program.name} did not end within {child.program.stop_seconds:g} s: killing it.")
                child.kill()
        await child.ended.wait()
        with trio.move_on_after(_LAST_WORDS_SECONDS):
            await child.silent.wait()


async def supervise(
    programs: Sequence[Program],
    *,
    attend: Callable[[], Awaitable[bool]],
    say: Callable[[str], None],
    write: Callable[[str], None],
) -> int:
    """Run programs until a signal arrives, one of them ends, or `attend` gives up; then end them all.

    Args:
        programs: what to start, in this order; they end in the opposite one.
        attend: runs beside them; False gives up, True leaves them running.
        say: tells people what happened.
        write: takes each line that a program prints.

    Returns:
        0 where a signal ended it and every program ended cleanly, else 1.
    """
    return await _Supervisor(say, write).run(programs, attend)


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
