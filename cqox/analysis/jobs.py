"""Background analyses, independent of the client that started them, and their messages.

A job runs in the task group of the app. It ends when it is done, when it is cancelled, or when the process exits; a
client that only listens does not affect it. Its events are stored as numbered messages, so that a listener that joins
late or reconnects misses none.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import anyio

from cqox import clock, randomness
from cqox.analysis.single_flight import OnStep
from cqox.analysis.weight import weight_of
from cqox.contract.messages import Message
from cqox.errors import NotFound
from cqox.storage import DEFAULT_TENANT
from cqox.storage.tenant_ids import OfTenant
from cqox.tasks import TaskGroup

__all__ = ["Ended", "Ending", "Job", "JobEvent", "JobState", "Jobs", "Outcome", "Owner", "without_result"]

_RESULT = "result"
"""Member of the step of an estimate that is the body of its own event."""

type JobState = Literal["running", "succeeded", "failed", "cancelled", "interrupted"]


class Owner(Protocol):
    """Cancel scope of the process, of which a job only needs to know whether it was cancelled."""

    @property
    def cancel_called(self) -> bool: ...


type Shift = Callable[[str], AbstractContextManager[Owner]]
"""Opens the cancel scope of a job, given its description; the process may cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event of a job.

    Attributes:
        number: from 1, in order.
        event: `step`, `estimate`, or the final state of the job.
        body: content, JSON values.
    """

    number: int
    event: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a successful job: the id of its report."""

    analysis_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """End of a job, recorded before its listeners are notified.

    Attributes:
        state: final state.
        finished_at: ISO 8601 in UTC.
        outcome: the report, if it succeeded.
        failure: the error, if it failed.
    """

    state: JobState
    finished_at: str
    outcome: Outcome | None = None
    failure: Exception | None = None


type Ended = Callable[["Job", Ending], Awaitable[None]]
"""Called shielded with an ended job before its listeners are notified; must return soon and not raise."""


class Job:
    """One background analysis.

    Attributes:
        job_id: random and unguessable, unless given.
        tenant_id: the tenant whose job it is.
        dataset_id: the data set under analysis.
        state: current state.
        created_at: ISO 8601 in UTC.
        finished_at: ISO 8601 in UTC; None while it runs.
        outcome: the report, if it succeeded.
        failure: the error, if it failed.
        messages: all messages so far.
        progress: body of the last event `estimate`, with its counts; None before the first.
        recorded: whether it is recorded in the store.
    """

    def __init__(self, dataset_id: str, job_id: str | None = None) -> None:
        self.job_id = job_id or randomness.token_hex(16)
        self.tenant_id = DEFAULT_TENANT
        self.dataset_id = dataset_id
        self.state: JobState = "running"
        self.created_at = _now()
        self.finished_at: str | None = None
        self.outcome: Outcome | None = None
        self.failure: Exception | None = None
        self.messages: list[JobEvent] = []
        self.progress: Mapping[str, object] | None = None
        self._scope = anyio.CancelScope()
        self._changed = anyio.Event()
        self.recorded = False
        self._weight = 0

    @classmethod
    def ended(cls, job_id: str, dataset_id: str, state: JobState, body: Mapping[str, object]) -> "Job":
        """Return a job that ended in an earlier process, with the message of its end."""
        job = cls(dataset_id, job_id)
        job._end(Ending(state=state, finished_at=_now()), body)
        return job

    @property
    def done(self) -> bool:
        """True once the job has ended."""
        return self.state != "running"

    @property
    def size_bytes(self) -> int:
        """Memory of its messages, in bytes; 0 while it runs."""
        if self.done and not self._weight:
            self._weight = sum(weight_of(message.body) for message in self.messages)
        return self._weight

    def cancel(self) -> None:
        """Cancel the job unless it has ended."""
        self._scope.cancel("the job was cancelled")

    def add_step(self, step: Mapping[str, object]) -> None:
        """Append a step to the messages, and its estimate if it has one, as an event of its own."""
        self._say("step", without_result(step))
        result = step.get(_RESULT)
        if isinstance(result, Mapping):
            self.progress = result
            self._say("estimate", result)

    async def listen(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield every message after this number as it arrives, up to the final one.

        A cancellation does not affect the job.
        """
        seen = max(0, after)
        while await self.wait_beyond(seen):
            for message in self.messages[seen:]:
                seen = message.number
                yield message

    async def wait_beyond(self, number: int) -> bool:
        """Wait for a message after this number; return False if there will be none."""
        while len(self.messages) <= number:
            if self.done:
                return False
            await self._changed.wait()
        return True

    async def run(self, work: Callable[[OnStep], Awaitable[Outcome]], shift: Shift, ended: Ended | None = None) -> None:
        """Run the work and record its end. Raises nothing but cancellations from outside."""
        ending: Ending | None = None
        try:
            with shift(f"job {self.job_id}") as owner, self._scope:
                ending = Ending(state="succeeded", outcome=await work(self.add_step), finished_at=_now())
            if ending is None:
                ending = Ending(state="interrupted" if owner.cancel_called else "cancelled", finished_at=_now())
        except Exception as error:  # noqa: BLE001 - the supervised root of a job: its listeners are notified
            ending = Ending(state="failed", failure=error, finished_at=_now())
        finally:
            ending = ending or Ending(state="interrupted", finished_at=_now())
            try:
                if ended is not None:
                    with anyio.CancelScope(shield=True):
                        await ended(self, ending)
            finally:
                self._end(ending, {} if ending.outcome is None else {"analysis_id": ending.outcome.analysis_id})

    def _end(self, ending: Ending, body: Mapping[str, object]) -> None:
        self.state, self.finished_at = ending.state, ending.finished_at
        self.outcome, self.failure = ending.outcome, ending.failure
        self._say(ending.state, body)

    def _say(self, event: str, body: Mapping[str, object]) -> None:
        self.messages.append(JobEvent(number=len(self.messages) + 1, event=event, body=body))
        self._changed.set()
        self._changed = anyio.Event()


class Jobs(OfTenant):
    """Jobs of one engine, of all tenants; `within` gives those of one.

    Args:
        group: task group of the jobs; it must live as long as the app.
        shift: opens the cancel scope of a job.
        remembered: maximum number of ended jobs with messages; the oldest are dropped first. Running jobs never are.
        max_bytes: bound on the memory of those messages.
        ended: records the end of each launched job.
    """

    def __init__(
        self,
        group: TaskGroup,
        shift: Shift,
        *,
        remembered: int = 1_000,
        max_bytes: int = 32 * 1024 * 1024,
        ended: Ended | None = None,
    ) -> None:
        self._group = group
        self._shift = shift
        self._remembered = remembered
        self._max_bytes = max_bytes
        self._ended = ended
        # By tenant and id. Shared by the views of all tenants.
        self._jobs: OrderedDict[tuple[str, str], Job] = OrderedDict()

    def start(self, dataset_id: str, work: Callable[[OnStep], Awaitable[Outcome]], *, job_id: str | None = None) -> Job:
        """Start a job without a record in the store, such as one whose client listens to it.

        Args:
            dataset_id: the data set under analysis.
            work: the work of the job.
            job_id: id of the job; a running or ended job with this id is returned instead, unless it was interrupted.
        """
        known = None if job_id is None else self._jobs.pop((self._tenant, job_id), None)
        job = Job(dataset_id, job_id) if known is None or known.state == "interrupted" else known
        if job is known:
            self._jobs[self._tenant, job.job_id] = job
            return job
        self._begin(job, work, None)
        return job

    def launch(self, job: Job, work: Callable[[OnStep], Awaitable[Outcome]]) -> None:
        """Start a job that is recorded as running, and record its end later. Replaces an earlier job with its id."""
        self._jobs.pop((self._tenant, job.job_id), None)
        job.recorded = True
        self._begin(job, work, self._ended)

    def find(self, job_id: str) -> Job | None:
        """Return the job with this id if this engine still remembers it, or None."""
        return self._jobs.get((self._tenant, job_id))

    def get(self, job_id: str) -> Job:
        """Return the job with this id.

        Raises:
            NotFound: there is no such job.
        """
        job = self.find(job_id)
        if job is None:
            raise NotFound(Message("analysis.no-job", job=job_id[:100]), field="job_id")
        return job

    def forget(self, job_id: str) -> None:
        """Drop the job if it has ended."""
        job = self.find(job_id)
        if job is not None and job.done:
            del self._jobs[self._tenant, job_id]

    def forget_of(self, dataset_id: str) -> None:
        """Drop all ended jobs on this data set."""
        for job in list(self._jobs.values()):
            if (job.tenant_id, job.dataset_id) == (self._tenant, dataset_id):
                self.forget(job.job_id)

    def cancel_of(self, dataset_id: str) -> None:
        """Cancel all running jobs on this data set."""
        for job in list(self._jobs.values()):
            if (job.tenant_id, job.dataset_id) == (self._tenant, dataset_id) and not job.done:
                job.cancel()

    @property
    def running(self) -> int:
        """Number of jobs that have not ended."""
        return sum(not job.done for job in self._jobs.values())

    @property
    def size_bytes(self) -> int:
        """Memory of the messages of ended jobs, in bytes."""
        return sum(job.size_bytes for job in list(self._jobs.values()))

    def _begin(self, job: Job, work: Callable[[OnStep], Awaitable[Outcome]], ended: Ended | None) -> None:
        job.tenant_id = self._tenant
        self._jobs[self._tenant, job.job_id] = job
        self._forget_some()
        self._group.start_soon(job.run, work, self._shift, ended, name="job")

    def _forget_some(self) -> None:
        held = 0
        for number, job in enumerate([job for job in reversed(self._jobs.values()) if job.done], start=1):
            held += job.size_bytes
            if number > self._remembered or held > self._max_bytes:
                del self._jobs[job.tenant_id, job.job_id]


def without_result(step: Mapping[str, object]) -> Mapping[str, object]:
    """Return a step without the body of the event that follows it."""
    return {name: value for name, value in step.items() if name != _RESULT} if _RESULT in step else step


def _now() -> str:
    return clock.timestamp()
