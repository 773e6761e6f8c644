"""Durable job records: the start of a job before it runs, and its end with retries.

Invariants: an acknowledged job is in the store; a record of status `running` belongs to a job that runs, or is
corrected as soon as the store answers. The number of pending corrections is bounded.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from cqox import clock
from cqox.analysis.job_leases import JOB_LEASE_SECONDS
from cqox.analysis.log_throttle import Outage
from cqox.contract import counted
from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.fault_points import fault_point
from cqox.resilience.retry.classification import never_sent
from cqox.storage import JobRecord, ResultStore

__all__ = ["RECORDING_SECONDS", "JobRecords"]

RECORDING_SECONDS = 5.0
"""Seconds that a client waits for the record of its job, and a job for the record of its end."""

_MOST_WAITING = 10_000
_MOST_AT_ONCE = 1_000
_logger = logging.getLogger("cqox.analysis")


class JobRecords:
    """Records of the jobs of one engine.

    Args:
        store: the result store.
        owner: name of the engine.
        seconds: timeout of one write.
        most: maximum number of pending corrections; the oldest are dropped first.
    """

    def __init__(
        self, store: ResultStore, owner: str, *, seconds: float = RECORDING_SECONDS, most: int = _MOST_WAITING
    ) -> None:
        self._store = store
        self._owner = owner
        self._seconds = seconds
        self._most = most
        # The final record of a job; None for one that never started, whose record may say that it runs.
        self._waiting: dict[str, JobRecord | None] = {}
        self._locks: dict[str, tuple[anyio.Lock, int]] = {}
        self._unrecorded = Outage("A job could not be recorded")

    @asynccontextmanager
    async def exclusive(self, job_id: str | None) -> AsyncIterator[None]:
        """Serialise the decisions whether the job with this id starts; without an id there is nothing to wait for.

        A cancellation leaves the queue.
        """
        if job_id is None:
            yield
            return
        lock, users = self._locks.get(job_id, (anyio.Lock(), 0))
        self._locks[job_id] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks.pop(job_id)
            if users > 1:
                self._locks[job_id] = lock, users - 1

    def is_waiting(self, job_id: str) -> bool:
        """Return whether the end of the job, or that it never started, is still to be recorded."""
        return job_id in self._waiting

    async def begin(self, record: JobRecord) -> None:
        """Record a job that is about to start. The record is durable on return; otherwise the job must not run.

        A cancellation may leave a record, which `settle` marks as interrupted.

        Raises:
            StoreUnavailable: the store did not record it in time.
        """
        was_waiting, before = record.job_id in self._waiting, self._waiting.pop(record.job_id, None)
        try:
            await self._put(record)
            fault_point("job.recorded", record.job_id)
        except BaseException as error:
            # The call may have been executed, and the next caller must not find a job that no engine runs.
            if not never_sent(error):
                self._wait(record.job_id, None)
            elif was_waiting:
                # What an earlier call has left in the store is still to be corrected.
                self._wait(record.job_id, before)
            if isinstance(error, StoreUnavailable):
                self._unrecorded.failed("The job %s could not be recorded and was rejected: %s", record.job_id, error)
            raise

    async def end(self, record: JobRecord) -> None:
        """Record the end of a job; if the store does not record it in time, `settle` retries."""
        # From the start: an end that is being recorded counts as pending.
        self._wait(record.job_id, record)
        try:
            await self._put(record)
        except StoreUnavailable as error:
            self._unrecorded.failed(
                "The end of the job %s (%s) could not be recorded yet: %s", record.job_id, record.status, error
            )
        else:
            fault_point("job.ended", record.job_id)
            self._settled(record.job_id, record)

    @property
    def has_pending(self) -> bool:
        """True while a correction waits for the store."""
        return bool(self._waiting)

    async def settle(self) -> None:
        """Write the pending corrections, up to the first failure."""
        for job_id, record in list(self._waiting.items())[:_MOST_AT_ONCE]:
            if self._waiting.get(job_id, self) is not record:
                continue
            try:
                if record is None:
                    now = clock.timestamp()
                    await self._store.interrupt_job(job_id, self._owner, finished_at=now)
                else:
                    await self._put(record)
            except StoreUnavailable as error:
                self._unrecorded.failed("Still to be recorded: %s. %s", counted(len(self._waiting), "job"), error)
                return
            self._settled(job_id, record)

    async def _put(self, record: JobRecord) -> None:
        with anyio.move_on_after(self._seconds):
            await self._store.put_job(record, owner=self._owner, seconds=JOB_LEASE_SECONDS)
            self._unrecorded.recovered()
            return
        raise StoreUnavailable(Message("analysis.job-not-recorded", seconds=self._seconds))

    def _wait(self, job_id: str, record: JobRecord | None) -> None:
        self._waiting[job_id] = record
        if len(self._waiting) > self._most:
            dropped = next(iter(self._waiting))
            del self._waiting[dropped]
            _logger.error("The end of the job %s will not be recorded: too many corrections are pending.", dropped)

    def _settled(self, job_id: str, record: JobRecord | None) -> None:
        # A job with the same id may have started or ended meanwhile.
        if self._waiting.get(job_id, self) is record:
            del self._waiting[job_id]
