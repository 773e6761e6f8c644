"""Admission control: a bounded number of computations, a short queue that tenants share, and early rejection.

A request that would miss its deadline is rejected on arrival, with an estimated `retry_after`: a computation whose
caller has left wastes a worker. A queued request that runs out of time is rejected when its turn comes. The service
time is estimated from computations that finished, and from those cancelled after a longer time. No tenant can take
every slot or the whole queue from the others; see `cqox.resilience.limits.fair_slots`.
"""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cqox import clock
from cqox.errors import BulkheadFull
from cqox.resilience.limits.fair_bulkhead import FairBulkhead
from cqox.resilience.runtime.caller import caller
from cqox.storage import DEFAULT_TENANT
from cqox.telemetry import metric_definitions, metrics

__all__ = ["ANALYSES", "Admission"]

ANALYSES = "analyses"
"""Name of the places of computations in rejections."""

_WEIGHT_OF_THE_NEWEST = 0.2
# One outlier must not dominate the estimate.
_MOST_TIMES_THE_KNOWN = 4.0
_CAUTION = 1.3
_DEVIATIONS = 2.0
_MOMENT_SECONDS = 0.001
"""Longest time that a refusal on arrival takes, in seconds; one after a longer time ends a wait."""


def _for_ever() -> float:
    return math.inf


class Admission:
    """Concurrency slots for computations, with a bounded queue.

    Args:
        size: maximum number of concurrent computations.
        max_queued: maximum length of the queue.
        name: name in rejections.
        now: monotonic clock, in seconds.
    """

    def __init__(
        self, *, size: int, max_queued: int, name: str = ANALYSES, now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._bulkhead = FairBulkhead(size, max_queued, name=name, clock=now)
        self._size = size
        self._name = name
        self._now = now
        self._service_seconds: float | None = None
        self._deviation_seconds = 0.0
        self._arrivals: dict[object, float] = {}
        self.refused = 0

    @property
    def service_seconds(self) -> float | None:
        """Estimated service time of a computation, in seconds; None before the first one has finished."""
        return self._service_seconds

    @property
    def size(self) -> int:
        """Number of slots."""
        return self._size

    @property
    def running(self) -> int:
        """Number of slots in use."""
        return self._bulkhead.snapshot().running

    @property
    def queued(self) -> int:
        """Number of callers in the queue."""
        return self._bulkhead.snapshot().queued

    @property
    def oldest_wait(self) -> float:
        """Time that the longest waiting caller has waited by now, in seconds; 0.0 where none waits. For any thread."""
        return max([0.0, *(self._now() - arrived for arrived in list(self._arrivals.values()))])

    def refuse_if_full(self, tenant: str = DEFAULT_TENANT) -> None:
        """Raise unless a slot or a place in the queue is free for a tenant.

        Raises:
            BulkheadFull: there is neither.
        """
        with caller(tenant):
            if self._bulkhead.is_full():
                raise self._refusal("BulkheadFull", self.expected_wait(tenant))

    def expected_wait(self, tenant: str = DEFAULT_TENANT) -> float:
        """Return the expected wait of a tenant's new call in seconds; 0.0 if a slot is free or none has finished."""
        with caller(tenant):
            ahead = self._bulkhead.queued_before()
        if ahead is None or self._service_seconds is None:
            return 0.0
        return self._service_seconds * (ahead + 1) / self._size

    @asynccontextmanager
    async def slot(
        self, tenant: str = DEFAULT_TENANT, *, seconds_left: Callable[[], float] = _for_ever
    ) -> AsyncIterator[None]:
        """Hold a slot while the block runs; wait for one in the queue.

        Args:
            tenant: the tenant that the computation is for.
            seconds_left: returns the remaining deadline of the caller; called on arrival and when its turn comes.

        A cancellation while waiting leaves the queue.

        Raises:
            BulkheadFull: the queue is full, or waiting and computing would exceed `seconds_left`.
        """
        wait, arrived = self.expected_wait(tenant), self._now()
        # A free slot is granted regardless; a queued caller must also have the time to compute.
        if wait > 0.0 and self._cautious(wait) > seconds_left():
            raise self._refusal("Admission", wait)
        entered, place = False, object()
        self._arrivals[place] = arrived
        try:
            with caller(tenant):
                async with self._bulkhead:
                    entered = True
                    del self._arrivals[place]
                    if wait > 0.0 and (self._service_seconds or 0.0) > seconds_left():
                        self._waited(arrived, "gave_up")
                        raise self._refusal("Late", self.expected_wait(tenant))
                    self._waited(arrived, "started")
                    began = self._now()
                    try:
                        yield
                    except BaseException as error:
                        # A failure is no sample of the service time; a cancelled computation is a lower bound of it.
                        if not isinstance(error, Exception) and self._now() - began > (self._service_seconds or 0.0):
                            self._learn(self._now() - began)
                        raise
                    self._learn(self._now() - began)
        except BulkheadFull:
            if entered:
                raise
            self.refused += 1
            # A refusal on arrival is no wait: as one of no seconds it would hide those of the others.
            if self._now() - arrived > _MOMENT_SECONDS:
                self._waited(arrived, "refused")
            raise BulkheadFull(self._name, retry_after=max(1.0, self.expected_wait(tenant))) from None
        except BaseException:
            # The caller's deadline passed, or it left the queue: only the record shows that it waited.
            if not entered:
                self._waited(arrived, "gave_up")
            raise
        finally:
            self._arrivals.pop(place, None)

    def _waited(self, arrived: float, outcome: str) -> None:
        metrics.record(metric_definitions.QUEUE_WAIT, max(0.0, self._now() - arrived), {"outcome": outcome})

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
