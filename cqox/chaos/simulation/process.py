"""A process of a simulated system: it runs, crashes, and starts again."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import trio

from cqox.chaos.simulation.clocks import Skew, current_skew

__all__ = ["SimulatedProcess", "current_process"]

current_process: ContextVar["SimulatedProcess | None"] = ContextVar("current_process", default=None)
"""The process that the running task belongs to; None for the world itself."""

type Main = Callable[["SimulatedProcess"], Awaitable[None]]
"""Runs a process from its start to its end."""


class SimulatedProcess:
    """One process on a host of its own.

    A crash takes effect outwards at once: `on_crash` callbacks cut its connections and refuse its file operations, so
    that nothing its cancelled tasks do afterwards reaches anything. Only then are the tasks cancelled.

    Args:
        name: of the process and its host.
        main: runs it.
        now: returns the true time of the run.

    Attributes:
        name: of the process and its host.
        skew: its clock.
        starts: how often it was started.
        alive: whether it runs.
        ended: set once it has ended, until it is started again.
    """

    def __init__(self, name: str, main: Main, now: Callable[[], float]) -> None:
        self.name = name
        self.skew = Skew()
        self.starts = 0
        self.alive = False
        # Unset also before its first start, so that nobody who waits for its end misses that.
        self.ended = trio.Event()
        self._main = main
        self._now = now
        self._scope = trio.CancelScope()
        self._on_crash: list[Callable[[SimulatedProcess], None]] = []
        self._crashed = False

    def on_crash(self, call: Callable[["SimulatedProcess"], None]) -> None:
        """Call this when the process crashes, before its tasks are cancelled."""
        self._on_crash.append(call)

    async def run(self) -> None:
        """Run the process once.

        Raises:
            Exception: what ends it by itself.
        """
        self.starts += 1
        self.alive, self._crashed = True, False
        if self.ended.is_set():
            self.ended = trio.Event()
        process, skew = current_process.set(self), current_skew.set(self.skew)
        try:
            with trio.CancelScope() as self._scope:
                await self._main(self)
        except Exception:
            # What a dying process raises is not its answer to anything.
            if not self._crashed:
                raise
        finally:
            current_process.reset(process)
            current_skew.reset(skew)
            self.alive = False
            self.ended.set()

    def crash(self) -> None:
        """Kill the process; nothing happens if it does not run."""
        if not self.alive or self._crashed:
            return
        self._crashed = True
        self.alive = False
        for call in self._on_crash:
            call(self)
        self._scope.cancel()
