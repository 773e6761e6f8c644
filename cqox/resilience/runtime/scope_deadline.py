"""The deadline of cancel scopes that others have opened, as AnyIO and Trio expose it.

It opens no scope: when it passes, the scope that has it cancels the block, and says so in its own way.
"""

import math
from typing import cast

from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, ambient
from cqox.resilience.runtime.clock import TimeSource
from cqox.resilience.runtime.event_loop import CancelScope, EventLoop
from cqox.resilience.runtime.scope_ids import UNKNOWN_SCOPE

__all__ = ["ScopeDeadline"]


class ScopeDeadline(AmbientDeadline):
    """The deadline of the enclosing scopes of one task; entered and left once."""

    __slots__ = ()

    def __init__(self, at: float, loop: EventLoop, clock: TimeSource) -> None:
        """Args:
        at: effective deadline of the current task, in the loop's time.
        loop: event loop whose scopes enforce it.
        clock: time source.
        """
        self.seconds = max(at - loop.time(), 0.0)
        self.attempt_seconds = math.inf
        self.loop = loop
        self.clock = clock
        self.at = clock() + self.seconds
        self._scope_at = at
        self._owner = task = loop.task()
        # Every task whose effective deadline is no later is cancelled in time, wherever its group was opened.
        self._groups = ()
        mark = loop.scope_id_of(task)
        self.scope_id = UNKNOWN_SCOPE if mark is None else mark
        self._scope = None if mark is None else cast("CancelScope | None", loop.scope_of(mark))
        self._ended = False

    def enter(self) -> None:
        """Put it in force."""
        self._token = ambient.set(self)

    def leave(self, error: BaseException | None) -> bool:
        """End it; return False, as the enclosing scope ends the block."""
        ambient.reset(self._token)
        self._ended = True
        return False

    def disarm(self) -> bool:
        """Return False: the scope belongs to others."""
        return False
