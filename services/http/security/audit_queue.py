"""Events of the audit log that wait for the store, or for an engine: a bounded queue, and the task that empties it."""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio

from cqox.errors import ResilienceError, ServiceError
from cqox.security import AuditEvent
from cqox.telemetry import metric_definitions, metrics

__all__ = ["AuditQueue"]

_log = structlog.stdlib.get_logger("cqox.audit")

_MOST = 10_000
_BATCH = 200
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_LAST_SECONDS = 5.0


class AuditQueue:
    """Events in the order in which they happened, until they are stored.

    Args:
        send: stores a batch, and may be called with the same events again; raises `ServiceError` or `ResilienceError`
            where that is not possible now.
        most: the most events that wait; further ones are lost, which is logged and counted.
    """

    def __init__(self, send: Callable[[Sequence[AuditEvent]], Awaitable[None]], *, most: int = _MOST) -> None:
        self._send = send
        self._most = most
        self._waiting: deque[AuditEvent] = deque()
        self._filled = trio.Event()
        self._is_stuck = False
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, event: AuditEvent) -> None:
        """Add an event; never raises, and never waits."""
        if len(self._waiting) >= self._most:
            self._lose(1)
            return
        self._waiting.append(event)
        self._filled.set()

    async def run(self) -> None:
        """Store events as they come, until cancelled; while that is not possible, try again at growing intervals."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._filled.wait()
            if await self._emptied():
                pause = _FIRST_PAUSE_SECONDS
            else:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self, *, seconds: float = _LAST_SECONDS) -> None:
        """Store what waits, for a limited time and up to the first failure; the rest is lost, logged and counted."""
        with trio.move_on_after(seconds, shield=True):
            await self._emptied()
        if self._waiting:
            self._lose(len(self._waiting))
            self._waiting.clear()

    async def _emptied(self) -> bool:
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._send(batch)
            except (ServiceError, ResilienceError) as error:
                if not self._is_stuck:
                    _log.warning("entries of the audit log wait", waiting=len(self._waiting), error=str(error))
                self._is_stuck = True
                return False
            if self._is_stuck:
                _log.warning("entries of the audit log are stored again", waiting=len(self._waiting))
            self._is_stuck = False
            for _ in batch:
                self._waiting.popleft()
        self._filled = trio.Event()
        return True

    def _lose(self, count: int) -> None:
        before, self.lost = self.lost, self.lost + count
        metrics.count(metric_definitions.AUDIT_LOST, by=count)
        # One line each time that the number has doubled.
        if not before or math.frexp(before)[1] != math.frexp(self.lost)[1]:
            _log.error("entries of the audit log are lost", lost=self.lost)
