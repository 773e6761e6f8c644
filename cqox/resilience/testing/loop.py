"""An asyncio event loop with virtual time: when no task can run, it jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["VirtualTimeLoop", "run_in_virtual_time"]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time, for cancel scopes, timeouts and sleeps, like Trio's `MockClock`.

    Use it as a loop factory: `asyncio.Runner(loop_factory=VirtualTimeLoop)`, or for AnyIO
    `backend_options={"loop_factory": VirtualTimeLoop}`. Every policy inside uses its time by default.

    Threads do not hold the virtual time back, unless `patience` is set.
    """

    virtual_time = True

    def __init__(self, *, start: float = 0.0, patience: float = 0.0) -> None:
        """Make a loop that starts at `start` seconds.

        Args:
            start: initial time, in seconds.
            patience: real seconds to wait for I/O and threads before each jump.
        """
        self._now = start
        super().__init__(_JumpingSelector(self, patience))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Advance the time by `seconds`."""
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop, patience: float) -> None:
        super().__init__()
        self._loop = loop
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(self._patience, timeout))
        if not ready:
            self._loop.jump(timeout)
        return ready


def run_in_virtual_time[T](main: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
    """Run `main(*args)` on a `VirtualTimeLoop` and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main(*args))
