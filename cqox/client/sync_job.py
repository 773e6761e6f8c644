"""`cqox.Client.submit`: a job on a server, from scripts and notebooks."""

from collections.abc import Iterator
from typing import cast

from cqox.api.portal import OnStep, Portal
from cqox.api.progress import Progress, shown
from cqox.api.report import Report
from cqox.client import analyses, jobs
from cqox.client.analyses import Finished
from cqox.client.connection import Connection
from cqox.client.events import JobEvent
from cqox.client.jobs import Started
from cqox.client.portal_calls import started
from cqox.client.remote_source import report_of
from cqox.contract import JobDescription
from cqox.contract.messages import Language

__all__ = ["Job"]


class Job:
    """An analysis that runs on a server; `Client.submit` makes it.

    Args:
        portal: a loop with a connection to the server.
        job: the job.
        language: of its report.
    """

    def __init__(self, portal: Portal[Connection], job: Started, language: Language) -> None:
        self._portal = portal
        self._job = job
        self._language = language

    @property
    def job_id(self) -> str:
        """Its id; `Client.job` finds it again."""
        return self._job.job_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.job_id!r})"

    def status(self) -> JobDescription:
        """Return its state."""
        return started(self._portal, lambda connection, _: jobs.status(connection, self.job_id)).wait()

    def wait(self, *, progress: Progress = None, timeout: float | None = None) -> Report:
        """Wait for its report; an interrupt or a timeout leaves the job running.

        Raises:
            JobInterrupted: it was cancelled, or was interrupted more than three times.
            CqoxError: why it failed, or why there is no answer.
        """

        async def work(connection: Connection, on_step: OnStep) -> Finished:
            return await analyses.finished(connection, self._job, timeout=timeout, on_step=on_step)

        call = started(self._portal, work)
        with shown(progress) as on_step:
            return report_of(*call.wait(on_step), self._portal, self._language)

    def cancel(self) -> JobDescription:
        """Cancel it, or delete its record if it has ended; return its state."""
        return started(self._portal, lambda connection, _: jobs.cancel(connection, self.job_id)).wait()

    def events(self, *, after: int = 0) -> Iterator[JobEvent]:
        """Yield its events from the first, or after a number, to the one that says how it ended."""

        async def work(connection: Connection, on_step: OnStep) -> None:
            async for event in jobs.events(connection, self._job, after=after):
                on_step({"event": event})

        for step in started(self._portal, work).steps():
            yield cast("JobEvent", step["event"])
