"""Supervision of child processes that start and stop together, in order.

Every child leads a session of its own, so that Ctrl-C in the terminal reaches only the supervisor, which forwards the
signal once. Children stop in reverse order, each completely before the next.

A child that exits before all are ready stops the rest, with the reason on the terminal. Later it is restarted with
exponential backoff while the others keep running. A child that crashes soon after its start several times in a row, or
exits for an invalid setting, stops the rest.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio
import trio.to_thread

from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry.escaping import escaped

__all__ = ["Program", "Restarts", "supervise"]

_KEPT_LINES = 10
_LAST_WORDS_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_FAILED = 1
_USAGE = 2
# Opened here: between fork and exec, a loader lock held by another thread would never be released.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One child.

    Attributes:
        name: its name in messages.
        command: program and arguments.
        environment: the whole environment.
        stop_seconds: longest time from its stop signal to its exit.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """The restart policy of children that exit by themselves.

    Attributes:
        first_pause: seconds before the first restart; doubled for each consecutive one.
        longest_pause: the longest pause, in seconds.
        soon: a child that exits within this many seconds of its start counts as crashing.
        most_soon: number of consecutive crashes after which all children are stopped.
    """

    first_pause: float = 1.0
    longest_pause: float = 30.0
    soon: float = 60.0
    most_soon: int = 5

    def pause(self, soon: int) -> float:
        """Return the seconds to wait after a number of consecutive crashes."""
        return min(self.first_pause * 2.0 ** (soon - 1), self.longest_pause)


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
            # PR_SET_PDEATHSIG follows the creating thread: this is the main thread, which lives as long as the process.
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        assert self.process.stdout is not None
        self._output = os.dup(self.process.stdout.fileno())
        self.process.stdout.close()
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.ended = trio.Event()
        self.silent = trio.Event()

    async def relay(self, write: Callable[[str], None]) -> None:
        """Forward each line until the child closes its output."""
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
        """Wait until the child has exited, for those that wait in `finish`."""
        await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
        self.ended.set()

    async def finish(self) -> int:
        """Wait for the exit of the child and, for a moment, for its last lines; return its exit status."""
        await self.ended.wait()
        with trio.move_on_after(_LAST_WORDS_SECONDS):
            await self.silent.wait()
        return self.process.returncode

    def kill(self) -> None:
        """Kill the child and its process group."""
        if self.process.poll() is None:
            # While another thread waits for it, `poll` does not notice its exit.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _line(self, line: bytes, write: Callable[[str], None]) -> None:
        # Output that a child's libraries print directly is not escaped by its logging.
        text = escaped(line.decode("utf-8", "replace"))
        self.lines.append(text)
        write(text)


class _Supervisor:
    def __init__(self, say: Callable[[str], None], write: Callable[[str], None], restarts: Restarts) -> None:
        self._say = say
        self._write = write
        self._restarts = restarts
        self._children: list[_Child] = []
        self._in_order = False
        self._stop = trio.Event()
        self._signal = signal.SIGTERM
        self._status = 0

    async def run(self, programs: Sequence[Program], attend: Callable[[], Awaitable[bool]]) -> int:
        async with open_task_group("children") as group:
            group.start_soon(self._watch_signals)
            for place, program in enumerate(programs):
                self._children.append(self._start(group, program))
                group.start_soon(self._keep, group, place)
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
        self._in_order = await attend()
        if not self._in_order:
            self._give_up()

    def _start(self, group: TaskGroup, program: Program) -> _Child:
        child = _Child(program)
        group.start_soon(child.relay, self._write)
        group.start_soon(child.wait)
        return child

    async def _keep(self, group: TaskGroup, place: int) -> None:
        """Restart the child at this position where it exits, until it crashes too often or all are stopped."""
        program, crashes = self._children[place].program, 0
        failure: OSError | None = None
        while True:
            began = trio.current_time()
            if failure is None:
                code = await self._children[place].finish()
                if self._stop.is_set():
                    return
                crashes = crashes + 1 if trio.current_time() - began < self._restarts.soon else 1
                final = not self._in_order or code == _USAGE or crashes >= self._restarts.most_soon
            else:
                # Spawn failures (ENOMEM, EAGAIN) count as crashes and are retried.
                crashes += 1
                final = crashes >= self._restarts.most_soon
            self._say(self._report(place, failure, None if final else self._restarts.pause(crashes), crashes))
            if final:
                self._give_up()
                return
            with trio.move_on_after(self._restarts.pause(crashes)):
                await self._stop.wait()
                return
            try:
                self._children[place], failure = self._start(group, program), None
            except OSError as error:
                failure = error

    def _report(self, place: int, failure: OSError | None, pause: float | None, crashes: int) -> str:
        """Return the message on an exit or a failed start, with the pause before the next start, if there is one."""
        child = self._children[place]
        name = child.program.name
        if failure is not None:
            return f"The {name} cannot be started again: {failure}" + (
                "." if pause is None else f"; it is tried again in {pause:g} s."
            )
        then = "." if pause is None else f"; it is started again in {pause:g} s."
        if pause is None and crashes > 1:
            then = f", soon after its start, {crashes} times in a row."
        lines = "\n".join(f"    {line}" for line in child.lines)
        return f"The {name} ended by itself {_how(child.process.returncode)}{then} Its last lines:\n{lines}"

    def _give_up(self) -> None:
        self._status = _FAILED
        self._stop.set()

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
        if child.ended.is_set():
            return
        child.process.send_signal(self._signal)
        with trio.move_on_after(child.program.stop_seconds) as patience:
            await child.ended.wait()
        if patience.cancelled_caught:
            self._say(f"The {child.program.name} did not end within {child.program.stop_seconds:g} s: killing it.")
            child.kill()
        code = await child.finish()
        if code != 0:
            self._say(f"The {child.program.name} ended {_how(code)}.")
            self._status = _FAILED


async def supervise(
    programs: Sequence[Program],
    *,
    attend: Callable[[], Awaitable[bool]],
    say: Callable[[str], None],
    write: Callable[[str], None],
    restarts: Restarts | None = None,
) -> int:
    """Run programs until a signal arrives, one of them fails for good, or `attend` returns False; then stop them all.

    Args:
        programs: the programs in start order; they stop in reverse order.
        attend: runs concurrently; True means that they are ready and keep running, False stops them.
        say: prints messages of the supervisor.
        write: prints lines of the programs.
        restarts: the restart policy once they are ready.

    Returns:
        0 where a signal ended it and every program exited cleanly, else 1.
    """
    return await _Supervisor(say, write, restarts or Restarts()).run(programs, attend)


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def _end_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
