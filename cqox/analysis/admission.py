"""Which computation may run: a few at once, a short queue, and an early no for who would wait in vain.

A request that cannot be served within its deadline is refused when it arrives, with an honest `retry_after`, instead of
being kept until it is too late: what is computed for somebody who has left is lost to everybody, and costs a worker
besides. One whose turn comes too late all the same is refused then. What a computation takes is learnt from those that
finished, and from those that were cut while they took longer than that.
"""

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cqox.errors import BulkheadFull
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.telemetry import metric_definitions, metrics

__all__ = ["Admission"]

_WEIGHT_OF_THE_NEWEST = 0.2
# One that takes very long says little about the next.
_MOST_TIMES_THE_KNOWN = 4.0
_CAUTION = 1.3
_DEVIATIONS = 2.0


def _for_ever() -> float:
    return math.inf


class Admission:
    """Slots for computations.

    Args:
        size: how many run at once.
        max_queued: how many may wait.
        name: what refusals call it.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self, *, size: int, max_queued: int, name: str = "analyses", now: Callable[[], float] = time.monotonic
    ) -> None:
        self._bulkhead = Bulkhead(size, max_queued, name=name)
        self._size = size
        self._max_queued = max_queued
        self._name = name
        self._now = now
        self._service_seconds: float | None = None
        self._deviation_seconds = 0.0
        self.refused = 0

    @property
    def service_seconds(self) -> float | None:
        """What a computation has taken of late, in seconds; None before the first one has finished."""
        return self._service_seconds

    @property
    def running(self) -> int:
        """How many hold a slot."""
        return self._bulkhead.snapshot().running

    @property
    def queued(self) -> int:
        """How many wait for one."""
        return self._bulkhead.snapshot().queued

    def refuse_if_full(self) -> None:
        """Nothing, if there is a free slot or a place in the queue.

        Raises:
            BulkheadFull: there is neither.
        """
        if self.running >= self._size and self.queued >= self._max_queued:
            raise self._refusal("BulkheadFull", self.expected_wait())

    def expected_wait(self) -> float:
        """Seconds that who comes now would wait for a slot; 0.0 where one is free or nothing is known yet."""
        state = self._bulkhead.snapshot()
        if state.running < self._size or self._service_seconds is None:
            return 0.0
        return self._service_seconds * (state.queued + 1) / self._size

    @asynccontextmanager
    async def slot(self, *, seconds_left: Callable[[], float] = _for_ever) -> AsyncIterator[None]:
        """Hold a slot for as long as the block runs, waiting for one within the queue.

        Args:
            seconds_left: how long the caller will still be waited for; asked when it comes and when its turn comes.

        A cancellation while waiting gives the place in the queue up.

        Raises:
            BulkheadFull: the queue is full, or waiting and computing would outlast `seconds_left`.
        """
        wait = self.expected_wait()
        # A slot that is free costs nobody else anything; whoever queues must also have the time to compute.
        if wait > 0.0 and self._cautious(wait) > seconds_left():
            raise self._refusal("Admission", wait)
        entered = False
        try:
            async with self._bulkhead:
                entered = True
                if wait > 0.0 and (self._service_seconds or 0.0) > seconds_left():
                    raise self._refusal("Late", self.expected_wait())
                began = self._now()
                try:
                    yield
                except BaseException as error:
                    # One that failed says nothing of what the next one takes; one that was cut would have taken longer.
                    if not isinstance(error, Exception) and self._now() - began > (self._service_seconds or 0.0):
                        self._learn(self._now() - began)
                    raise
                self._learn(self._now() - began)
        except BulkheadFull:
            if entered:
                raise
            self.refused += 1
            raise BulkheadFull(self._name, retry_after=max(1.0, self.expected_wait())) from None

    def _cautious(self, wait: float) -> float:
        service = self._service_seconds or 0.0
        spread = _DEVIATIONS * self._deviation_seconds / service if service else 0.0
        return max(_CAUTION, 1.0 + spread) * (wait + service)

    def _refusal(self, reason: str, wait: float) -> BulkheadFull:
        self.refused += 1
        metrics.count(metric_definitions.REJECTIONS, {"policy": self._name, "reason": reason})
        return BulkheadFull(self._name, retry_after=max(1.0, wait))

    def _learn(self, seconds: float) -> None:
        known = self._service_seconds
        if known is None:
            self._service_seconds = seconds
            return
        error = min(seconds, _MOST_TIMES_THE_KNOWN * known) - known
        self._service_seconds = known + _WEIGHT_OF_THE_NEWEST * error
        self._deviation_seconds += _WEIGHT_OF_THE_NEWEST * (abs(error) - self._deviation_seconds)
