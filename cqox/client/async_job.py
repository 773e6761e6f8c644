"""`cqox.AsyncClient.submit`: a job on a server, from asyncio or Trio."""

from collections.abc import AsyncGenerator

from cqox.api.portal import Portal
from cqox.api.progress import Progress, shown
from cqox.api.report import Report
from cqox.client import analyses, jobs
from cqox.client.connection import Connection
from cqox.client.events import JobEvent
from cqox.client.jobs import Started
from cqox.client.remote_source import report_of
from cqox.contract import JobDescription
from cqox.contract.messages import Language

__all__ = ["AsyncJob"]


class AsyncJob:
    """An analysis that runs on a server; `AsyncClient.submit` makes it.

    Args:
        connection: to the server.
        portal: where figures of its report come from.
        job: the job.
        language: of its report.
    """

    def __init__(self, connection: Connection, portal: Portal[Connection], job: Started, language: Language) -> None:
        self._connection = connection
        self._portal = portal
        self._job = job
        self._language = language

    @property
    def job_id(self) -> str:
        """Its id; `AsyncClient.job` finds it again."""
        return self._job.job_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.job_id!r})"

    async def status(self) -> JobDescription:
        """Return its state."""
        return await jobs.status(self._connection, self.job_id)

    async def wait(self, *, progress: Progress = None, timeout: float | None = None) -> Report:
        """Wait for its report; a cancellation or a timeout leaves the job running.

        Raises:
            JobInterrupted: it was cancelled, or was interrupted more than three times.
            CqoxError: why it failed, or why there is no answer.
        """
        with shown(progress) as on_step:
            found = await analyses.finished(self._connection, self._job, timeout=timeout, on_step=on_step)
        return report_of(*found, self._portal, self._language)

    async def cancel(self) -> JobDescription:
        """Cancel it, or delete its record if it has ended; return its state."""
        return await jobs.cancel(self._connection, self.job_id)

    def events(self, *, after: int = 0) -> AsyncGenerator[JobEvent]:
        """Yield its events from the first, or after a number, to the one that says how it ended.

        Close the iterator with `contextlib.aclosing` unless it is exhausted.
        """
        return jobs.events(self._connection, self._job, after=after)
