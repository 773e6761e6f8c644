"""Analyses that go on without whoever asked for them, and what they have to tell.

A job lives in the app's group of tasks. It ends when it is done, when it is cancelled, or when the process ends; a
client that only listens changes nothing. What happened is kept as numbered messages, so that a listener who comes late
or comes back misses nothing.
"""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

import anyio

from cqox.analysis.single_flight import Tell
from cqox.analysis.weight import weight_of
from cqox.errors import NotFound
from cqox.tasks import TaskGroup

__all__ = ["Ended", "Ending", "Job", "JobState", "Jobs", "Message", "Outcome", "Owner"]

type JobState = Literal["running", "succeeded", "failed", "cancelled", "interrupted"]


class Owner(Protocol):
    """The part of a cancel scope that tells whether the process's owner cut what ran in it."""

    @property
    def cancel_called(self) -> bool: ...


type Shift = Callable[[str], AbstractContextManager[Owner]]
"""Opens the scope that a job runs in, given its description; whoever owns the process may cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that happened to a job.

    Attributes:
        number: from 1, in order.
        event: `step`, or the state in which the job ended.
        body: what there is to tell, JSON values.
    """

    number: int
    event: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended well: the id of its report, which is found where all reports are."""

    analysis_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job has ended, as it is recorded before anybody is told.

    Attributes:
        state: the state in which it ended.
        finished_at: ISO 8601 in UTC.
        outcome: the report, where it succeeded.
        failure: why it failed, where it did.
    """

    state: JobState
    finished_at: str
    outcome: Outcome | None = None
    failure: Exception | None = None


type Ended = Callable[["Job", Ending], Awaitable[None]]
"""Called shielded with a job that has ended, before its listeners are; it must return soon and raise nothing."""


class Job:
    """One analysis in the background.

    Attributes:
        job_id: random, so that nobody can guess another's, unless one is given.
        dataset_id: what it analyses.
        state: where it stands.
        created_at: ISO 8601 in UTC.
        finished_at: the same; None while it runs.
        outcome: the report, where it succeeded.
        failure: why it failed, where it did.
        messages: what has happened so far.
        recorded: whether it is recorded in the store.
    """

    def __init__(self, dataset_id: str, job_id: str | None = None) -> None:
        self.job_id = job_id or secrets.token_hex(16)
        self.dataset_id = dataset_id
        self.state: JobState = "running"
        self.created_at = _now()
        self.finished_at: str | None = None
        self.outcome: Outcome | None = None
        self.failure: Exception | None = None
        self.messages: list[Message] = []
        self._scope = anyio.CancelScope()
        self._changed = anyio.Event()
        self.recorded = False
        self._weight = 0

    @classmethod
    def ended(cls, job_id: str, dataset_id: str, state: JobState, body: Mapping[str, object]) -> "Job":
        """A job that ended in an earlier process, with the message of its end."""
        job = cls(dataset_id, job_id)
        job._end(Ending(state=state, finished_at=_now()), body)
        return job

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state != "running"

    @property
    def size_bytes(self) -> int:
        """How much memory its messages take; 0 while it runs."""
        if self.done and not self._weight:
            self._weight = sum(weight_of(message.body) for message in self.messages)
        return self._weight

    def cancel(self) -> None:
        """End it, unless it has ended."""
        self._scope.cancel("the job was cancelled")

    def tell(self, step: Mapping[str, object]) -> None:
        """Add a step to the messages."""
        self._say("step", step)

    async def listen(self, after: int = 0) -> AsyncIterator[Message]:
        """Every message beyond the number, as it comes, the one that ends the job included.

        A cancellation changes nothing for the job.
        """
        seen = max(0, after)
        while await self.wait_beyond(seen):
            for message in self.messages[seen:]:
                seen = message.number
                yield message

    async def wait_beyond(self, number: int) -> bool:
        """Wait until there is a message beyond the number; False where there will be none."""
        while len(self.messages) <= number:
            if self.done:
                return False
            await self._changed.wait()
        return True

    async def run(self, work: Callable[[Tell], Awaitable[Outcome]], shift: Shift, ended: Ended | None = None) -> None:
        """Do the work and record how it ended. Raises nothing but cancellations from outside."""
        ending: Ending | None = None
        try:
            with shift(f"job {self.job_id}") as owner, self._scope:
                ending = Ending(state="succeeded", outcome=await work(self.tell), finished_at=_now())
            if ending is None:
                ending = Ending(state="interrupted" if owner.cancel_called else "cancelled", finished_at=_now())
        except Exception as error:  # noqa: BLE001 - the supervised root of a job: it is told to who asks
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
        self.messages.append(Message(number=len(self.messages) + 1, event=event, body=body))
        self._changed.set()
        self._changed = anyio.Event()


class Jobs:
    """The jobs of one engine.

    Args:
        group: where they run; it must live as long as the app.
        shift: opens the scope that a job runs in.
        remembered: how many ended jobs are kept with their messages; the oldest go first. One that runs never goes.
        max_bytes: how much memory the messages of those may take.
        ended: records the end of each job that was launched.
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
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, dataset_id: str, work: Callable[[Tell], Awaitable[Outcome]], *, job_id: str | None = None) -> Job:
        """A job that has begun and is recorded nowhere, such as one whose client listens to it.

        Args:
            dataset_id: what it analyses.
            work: what it does.
            job_id: its id, where it must be this one; a job of that id that runs or has ended is that job, unless it
                was interrupted.
        """
        known = None if job_id is None else self._jobs.pop(job_id, None)
        job = Job(dataset_id, job_id) if known is None or known.state == "interrupted" else known
        if job is known:
            self._jobs[job.job_id] = job
            return job
        self._begin(job, work, None)
        return job

    def launch(self, job: Job, work: Callable[[Tell], Awaitable[Outcome]]) -> None:
        """Begin a job that is recorded as running; its end will be recorded too. One of its id that was goes."""
        self._jobs.pop(job.job_id, None)
        job.recorded = True
        self._begin(job, work, self._ended)

    def find(self, job_id: str) -> Job | None:
        """The job of this id, if this engine runs or has run it and still remembers."""
        return self._jobs.get(job_id)

    def get(self, job_id: str) -> Job:
        """The job of this id.

        Raises:
            NotFound: there is none.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"There is no job '{job_id[:100]}'.", field="job_id")
        return job

    def forget(self, job_id: str) -> None:
        """Remember the job no longer, if it has ended."""
        job = self._jobs.get(job_id)
        if job is not None and job.done:
            del self._jobs[job_id]

    def forget_of(self, dataset_id: str) -> None:
        """Remember no longer any job on this data set that has ended."""
        for job in list(self._jobs.values()):
            if job.dataset_id == dataset_id:
                self.forget(job.job_id)

    @property
    def running(self) -> int:
        """How many have not ended."""
        return sum(not job.done for job in self._jobs.values())

    @property
    def size_bytes(self) -> int:
        """How much memory the messages of ended jobs take."""
        return sum(job.size_bytes for job in list(self._jobs.values()))

    def _begin(self, job: Job, work: Callable[[Tell], Awaitable[Outcome]], ended: Ended | None) -> None:
        self._jobs[job.job_id] = job
        self._forget_some()
        self._group.start_soon(job.run, work, self._shift, ended, name="job")

    def _forget_some(self) -> None:
        held = 0
        for number, job in enumerate([job for job in reversed(self._jobs.values()) if job.done], start=1):
            held += job.size_bytes
            if number > self._remembered or held > self._max_bytes:
                del self._jobs[job.job_id]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
