"""Waiters: parked tasks and threads that any event loop or thread can wake.

Only parking and waking; the order in which waiters are served is decided by the owner of the queue (`slots`).
"""

from collections.abc import Hashable
from threading import TIMEOUT_MAX, Event, get_ident

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from cqox.resilience.runtime.criticality import Criticality

__all__ = ["TaskWaiter", "ThreadWaiter", "Waiter", "running_loop"]


class Waiter:
    """A call that waits in a queue.

    Attributes:
        level: criticality of the call.
        granted: True once it is admitted; False while it waits and after it was evicted. Written by the owner of the
            queue under its lock, before `wake`.
        caller: the caller that it waits for; written by an owner that shares its slots among callers.
    """

    __slots__ = ("caller", "granted", "level")

    caller: Hashable

    def __init__(self, level: Criticality) -> None:
        self.level = level
        self.granted = False
        self.caller = None

    def wake(self) -> bool:
        """End the wait; return False where the waiter is gone, so that its slot must go to another."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A waiting thread."""

    __slots__ = ("_event",)

    def __init__(self, level: Criticality) -> None:
        super().__init__(level)
        self._event = Event()

    def wait(self, seconds: float) -> bool:
        """Block for at most `seconds` of real time, which may be infinite; return False on timeout."""
        return self._event.wait(min(seconds, TIMEOUT_MAX))

    def wake(self) -> bool:
        """End the wait."""
        self._event.set()
        return True


class TaskWaiter(Waiter):
    """A waiting task, on the event loop on which it was created."""

    __slots__ = ("_event", "_home", "_thread")

    def __init__(self, level: Criticality) -> None:
        super().__init__(level)
        self._event = anyio.Event()
        self._home = current_token()
        self._thread = get_ident()

    async def wait(self) -> None:
        """Wait for `wake`. A cancellation ends the wait; the caller must then leave the queue."""
        await self._event.wait()

    def wake(self) -> bool:
        """End the wait, from any thread or event loop; return False where the task's loop has closed."""
        try:
            if self._thread == get_ident() and running_loop() == self._home:
                self._event.set()
            else:
                native = self._home.native_token
                post = getattr(native, "call_soon_threadsafe", None) or getattr(native, "run_sync_soon")  # noqa: B009
                post(self._event.set)
        except RuntimeError:
            return False
        return True


def running_loop() -> EventLoopToken | None:
    """Return the event loop running on this thread; None where there is none."""
    try:
        return current_token()
    except RuntimeError:
        return None
