"""Following a job on a server to its end, through lost connections, drains and restarts.

The request that started a job can be sent again at any time: its idempotency key makes it the same job, which is
started again only if it was interrupted.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from random import Random

import anyio

from cqox.api.portal import OnStep
from cqox.client.connection import Call, Connection
from cqox.client.events import EventParser, JobEvent
from cqox.client.problems import is_problem, problem_error
from cqox.client.requests import segment
from cqox.contract import JobDescription
from cqox.contract.messages import Message
from cqox.errors import (
    AttemptTimeout,
    CqoxError,
    DeadlineExceeded,
    EngineUnavailable,
    JobInterrupted,
    Rejected,
    RunsElsewhere,
    ServerUnreachable,
    StorageFull,
    StoreUnavailable,
    WorkerLost,
    WorkersUnavailable,
)
from cqox.frames import FrameKind
from cqox.resilience import backoff, remaining

__all__ = ["Started", "analysis_of", "cancel", "events", "last_event", "status"]

_PATIENCE_SECONDS = 120.0
"""Longest absence of a server before the wait for a job ends, in seconds."""

_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED = 0.2, 5.0, 15.0
_MOST_RESTARTS = 3
_END_SECONDS = 1.0
"""Longest wait for the end of a stream after its last event, in seconds."""

_TRANSIENT = (
    *(ServerUnreachable, EngineUnavailable, StoreUnavailable, WorkerLost, WorkersUnavailable),
    *(AttemptTimeout, DeadlineExceeded, Rejected, RunsElsewhere),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A job, with what is needed to go on with it over another connection.

    Attributes:
        job_id: its id.
        created_at: when this run of it began, ISO 8601; empty where it is unknown.
        request: the request that started it, with its idempotency key; None where only the id is known.
        kind: library of the frame that is analysed.
    """

    job_id: str
    created_at: str = ""
    request: Call | None = None
    kind: FrameKind | None = None


async def status(connection: Connection, job_id: str) -> JobDescription:
    """Return the state of a job."""
    return (await connection.send(Call(method="GET", path=f"/api/jobs/{segment(job_id)}"))).model(JobDescription)


async def cancel(connection: Connection, job_id: str) -> JobDescription:
    """Cancel a job, or delete the record of one that has ended; return its state."""
    return (await connection.send(Call(method="DELETE", path=f"/api/jobs/{segment(job_id)}"))).model(JobDescription)


async def events(
    connection: Connection, job: Started, *, after: int = 0, on_step: OnStep | None = None
) -> AsyncGenerator[JobEvent]:
    """Yield the events of a job from its first on; the last says how it ended.

    A lost connection is resumed after the event that came last. A job that was interrupted is started again, and its
    events begin again from 1. Close the iterator with `contextlib.aclosing` unless it is exhausted.

    Args:
        connection: to the server.
        job: the job.
        after: number of the last event that is known.
        on_step: called while the server is away.

    Raises:
        CqoxError: the server cannot be reached for two minutes, or does not know the job.
    """
    outage, created_at, restarts = _Outage(job, on_step), job.created_at, 0
    while True:
        last: JobEvent | None = None
        error: CqoxError = ServerUnreachable(Message("client.stream-ended", url=connection.server.url))
        try:
            async with connection.stream(_follow(job, after)) as chunks:
                parser = EventParser()
                async for chunk in chunks:
                    for event in parser.feed(chunk):
                        after = event.number or after
                        if not event.is_last:
                            yield event
                        last = event if event.is_last else None
                    if last is not None:
                        await _drained(chunks)
                    else:
                        outage.over()
        except _TRANSIENT as caught:
            error = caught
        if last is not None:
            if last.event != "interrupted" or job.request is None or restarts >= _MOST_RESTARTS:
                yield last
                return
            error = _interrupted(job)
        await outage.wait(error)
        found = await _refreshed(connection, job)
        if found is not None and found.created_at != created_at:
            restarts += bool(created_at)
            after, created_at = 0, found.created_at


async def last_event(connection: Connection, job: Started, on_step: OnStep | None = None) -> JobEvent:
    """Wait for the last event of a job; `on_step` gets its steps."""
    async with aclosing(events(connection, job, on_step=on_step)) as arriving:
        async for event in arriving:
            if event.is_last:
                return event
            if on_step is not None and event.event == "step":
                on_step(event.body)
    raise AssertionError("the events of a job end with its last")


def analysis_of(event: JobEvent, job: Started) -> str:
    """Return the id of the report from the last event of a job.

    Raises:
        CqoxError: the job failed, was cancelled, or was interrupted.
    """
    body = dict(event.body)
    found = body.get("analysis_id")
    if event.event == "succeeded" and isinstance(found, str):
        return found
    if event.event == "failed" and is_problem(body):
        raise problem_error(body)
    if event.event == "cancelled":
        raise JobInterrupted(Message("client.job-cancelled", job=job.job_id))
    raise _interrupted(job)


def _follow(job: Started, after: int) -> Call:
    headers = {"Accept": "text/event-stream"}
    headers |= {"Last-Event-ID": str(after)} if after else {}
    return Call(method="GET", path=f"/api/jobs/{segment(job.job_id)}/events", headers=headers)


async def _drained(chunks: AsyncIterator[bytes]) -> None:
    """Read what is left of a stream, so that no generator of the transport is abandoned."""
    with anyio.move_on_after(_END_SECONDS):
        async for _ in chunks:
            pass


def _interrupted(job: Started) -> JobInterrupted:
    return JobInterrupted(Message("client.job-interrupted", job=job.job_id))


async def _refreshed(connection: Connection, job: Started) -> JobDescription | None:
    """Return the state of the job, started again if it was interrupted; None where the server is still away."""
    try:
        if job.request is None:
            return await status(connection, job.job_id)
        return (await connection.send(job.request, retries=False)).model(JobDescription)
    except _TRANSIENT as error:
        if isinstance(error, StorageFull) or remaining() <= 0:
            raise
        return None


class _Outage:
    """The time for which a server has been away.

    Args:
        job: what is waited for.
        on_step: called at every attempt to reconnect.
    """

    def __init__(self, job: Started, on_step: OnStep | None) -> None:
        self._job = job
        self._on_step = on_step
        self._since: float | None = None
        self._pauses = 0
        self._rng = Random()

    def over(self) -> None:
        """Take note of a sign of life."""
        self._since, self._pauses = None, 0

    async def wait(self, error: CqoxError) -> None:
        """Wait before the next attempt.

        Raises:
            CqoxError: this error, once the server has been away for too long or the deadline has passed.
        """
        now = anyio.current_time()
        self._since = now if self._since is None else self._since
        if remaining() <= 0 or isinstance(error, StorageFull):
            raise error
        if now - self._since > _PATIENCE_SECONDS:
            error.add_note(Message("client.job-may-run", job=self._job.job_id, seconds=_PATIENCE_SECONDS))
            raise error
        if self._on_step is not None:
            self._on_step({"step": "reconnecting", "reason": str(error)})
        pause = backoff(
            self._pauses, base_delay=_FIRST_PAUSE, max_delay=_LONGEST_PAUSE, jitter=True, rng=self._rng, previous=0.0
        )
        self._pauses += 1
        await anyio.sleep(max(pause, min(getattr(error, "retry_after", 0.0), _LONGEST_ASKED)))
