"""One waiting call, woken from anywhere: from its own loop, from another loop, from a thread.

What lives here: parking a task or a thread until somebody says so. What does not: whose turn it is (`_slots`).
"""

from threading import TIMEOUT_MAX, Event, get_ident

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from cqox.resilience.runtime.criticality import Criticality

__all__ = ["TaskWaiter", "ThreadWaiter", "Waiter", "running_loop"]


class Waiter:
    """A call that waits for a verdict.

    Attributes:
        level: how much the call matters.
        granted: True once it may go on; False while it waits, and after it was put out of the queue. Written by the
            owner of the queue under the owner's lock, before `wake`.
    """

    __slots__ = ("granted", "level")

    def __init__(self, level: Criticality) -> None:
        self.level = level
        self.granted = False

    def wake(self) -> bool:
        """End the wait; False where nobody is left to be woken, so that what was granted must go to another."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A thread that waits."""

    __slots__ = ("_event",)

    def __init__(self, level: Criticality) -> None:
        super().__init__(level)
        self._event = Event()

    def wait(self, seconds: float) -> bool:
        """Block for at most `seconds` of real time, infinity included; False where nobody woke it."""
        return self._event.wait(min(seconds, TIMEOUT_MAX))

    def wake(self) -> bool:
        """End the wait."""
        self._event.set()
        return True


class TaskWaiter(Waiter):
    """A task that waits, on the loop on which it was made."""

    __slots__ = ("_event", "_home", "_thread")

    def __init__(self, level: Criticality) -> None:
        super().__init__(level)
        self._event = anyio.Event()
        self._home = current_token()
        self._thread = get_ident()

    async def wait(self) -> None:
        """Wait for `wake`. A cancellation ends the wait and leaves the queue as it is: the caller steps out."""
        await self._event.wait()

    def wake(self) -> bool:
        """End the wait from whatever thread or loop this is called on; False where the task's loop is gone."""
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
    """The loop that runs on this thread, None where there is none."""
    try:
        return current_token()
    except RuntimeError:
        return None
