"""Child processes that start and end together, in order, with one signal each.

Every child is the leader of a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, which
passes it on once. Children end in the opposite order of their start, one fully before the next.

A child that ends by itself before all are in order ends the rest: whoever has just typed the command reads why. Later
it is started again, after a pause that doubles while it keeps dying soon, and the others go on without it; one that
dies soon several times in a row, or for a setting that cannot be used, ends the rest.
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
# Opened here: between fork and exec another thread's lock on the loader is never given back.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """When a child that has ended by itself is started again.

    Attributes:
        first_pause: seconds before the first time; each further one in a row takes twice as long.
        longest_pause: seconds, at most.
        soon: a child that has lived for less than so many seconds has died soon.
        most_soon: how many deaths in a row, each soon, are one too many.
    """

    first_pause: float = 1.0
    longest_pause: float = 30.0
    soon: float = 60.0
    most_soon: int = 5

    def pause(self, soon: int) -> float:
        """Seconds to wait after so many deaths in a row."""
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
            # While a thread waits for it `poll` cannot tell that it has ended.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _line(self, line: bytes, write: Callable[[str], None]) -> None:
        # What a library of a child prints by itself passes no log.
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
        return child

    async def _keep(self, group: TaskGroup, place: int) -> None:
        """Watch the child in this place, and put another one there where it ends by itself."""
        soon = 0
        while True:
            child, began = self._children[place], trio.current_time()
            await child.wait()
            with trio.move_on_after(_LAST_WORDS_SECONDS):
                await child.silent.wait()
            name, code = child.program.name, child.process.returncode
            if self._stop.is_set():
                if code != 0:
                    self._say(f"The {name} ended {_how(code)}.")
                    self._status = _FAILED
                return
            soon = soon + 1 if trio.current_time() - began < self._restarts.soon else 1
            pause = self._restarts.pause(soon)
            final = not self._in_order or code == _USAGE or soon >= self._restarts.most_soon
            then = "." if final else f"; it is started again in {pause:g} s."
            if final and soon > 1:
                then = f", soon after its start, {soon} times in a row."
            last = "\n".join(f"    {line}" for line in child.lines)
            self._say(f"The {name} ended by itself {_how(code)}{then} Its last lines:\n{last}")
            if final:
                self._give_up()
                return
            soon = await self._start_again(group, place, soon)
            if self._stop.is_set():
                return

    async def _start_again(self, group: TaskGroup, place: int, soon: int) -> int:
        """Put another child in this place, unless all are stopped first; how many deaths in a row that were."""
        program = self._children[place].program
        while True:
            with trio.move_on_after(self._restarts.pause(soon)):
                await self._stop.wait()
            if self._stop.is_set():
                return soon
            try:
                self._children[place] = self._start(group, program)
            except OSError as error:
                # For want of memory or processes, of which there may be more in a moment: as bad as a death.
                soon += 1
                said = f"The {program.name} cannot be started again: {error}"
                if soon >= self._restarts.most_soon:
                    self._say(f"{said}.")
                    self._give_up()
                else:
                    self._say(f"{said}; it is tried again in {self._restarts.pause(soon):g} s.")
            else:
                return soon

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
    restarts: Restarts | None = None,
) -> int:
    """Run programs until a signal arrives, one of them cannot be kept running, or `attend` gives up; then end them all.

    Args:
        programs: what to start, in this order; they end in the opposite one.
        attend: runs beside them; False gives up, True says that they are in order and leaves them running.
        say: tells people what happened.
        write: takes each line that a program prints.
        restarts: when a program that ends by itself is started again, once they are in order.

    Returns:
        0 where a signal ended it and every program ended cleanly, else 1.
    """
    return await _Supervisor(say, write, restarts or Restarts()).run(programs, attend)


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def _end_with_parent() -> None:
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
