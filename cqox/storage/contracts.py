"""What a store must do, whatever is behind it. Each contract has one test suite that runs on every backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cqox.storage.schema import MigrationStatus

__all__ = ["DatasetRecord", "JobRecord", "JobStatus", "Page", "ResultCache", "ResultStore", "StoredReport"]

type JobStatus = Literal["running", "succeeded", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """A finished analysis as it is kept and answered.

    Attributes:
        analysis_id: digest of the analysis key (data, normalised request, code version).
        dataset_id: the data set that was analysed.
        created_at: when it was computed, ISO 8601 in UTC.
        status: `ok`, `warning` or `failed`, for listings.
        verdict: of the decision, for listings.
        primary: name of the primary estimate, for listings.
        estimate: the primary estimate, for listings.
        report: the report without its provenance, canonical JSON bytes.
        provenance: where the numbers come from, canonical JSON bytes.
        figures: figure name to Vega-Lite specification, canonical JSON bytes.
        digest: BLAKE2b digest of the report's bytes, hexadecimal.
    """

    analysis_id: str
    dataset_id: str
    created_at: str
    status: str
    verdict: str | None
    primary: str | None
    estimate: float | None
    report: bytes
    provenance: bytes
    figures: bytes
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """A data set as the registry knows it.

    Attributes:
        dataset_id: digest of its bytes, or the name of a built-in sample.
        digest: digest of its bytes and of any read options that are not the default.
        name: what its owner calls it.
        rows: number of rows.
        columns: number of columns.
        size_bytes: size of the upload.
        created_at: when it was first uploaded, ISO 8601 in UTC.
        sample: whether it is built in.
        description: everything else that clients are told, JSON bytes.
    """

    dataset_id: str
    digest: str
    name: str
    rows: int
    columns: int
    size_bytes: int
    created_at: str
    sample: bool
    description: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """An analysis in the background as the store knows it.

    Attributes:
        job_id: random.
        dataset_id: what it analyses.
        status: where it stands; `interrupted` where the engine that ran it is gone.
        created_at: when it began, ISO 8601 in UTC.
        finished_at: when it ended, the same; None while it runs, and where nobody saw it end.
        analysis_id: the report's, where it succeeded.
        problem: why it failed, JSON bytes.
    """

    job_id: str
    dataset_id: str
    status: JobStatus
    created_at: str
    finished_at: str | None
    analysis_id: str | None
    problem: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[Item]:
    """A part of a listing, newest first.

    Attributes:
        items: the rows of this page.
        next: give it as `before` for the following page; None on the last.
    """

    items: Sequence[Item]
    next: str | None


class ResultCache(Protocol):
    """Finished reports, near at hand, and claims of names. Losing any of it changes speed alone.

    No method raises for a cache that is down or a value that is damaged: the former holds nothing, and the latter is
    a miss.
    """

    async def get(self, analysis_id: str) -> StoredReport | None:
        """The report, or None where it is not held."""
        ...

    async def put(self, report: StoredReport) -> None:
        """Hold the report for a while; may drop others, or this one."""
        ...

    async def discard(self, analysis_id: str) -> None:
        """Hold it no longer."""
        ...

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Hold none of these reports any longer, for every engine that shares the cache.

        Raises:
            StoreUnavailable: the cache cannot be reached, so that it may still hold them.
        """
        ...

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Claim this name for a while, or prolong the claim; whether the token has it now.

        A claim that is neither prolonged nor released ends by itself. Where the cache is down everybody has it.
        """
        ...

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Give the turn back, if the token has it."""
        ...

    async def ping(self) -> None:
        """Nothing, if the cache answers.

        Raises:
            StoreUnavailable: it does not.
        """
        ...


class ResultStore(Protocol):
    """Finished reports, the registry of data sets, and jobs, kept for good; and whose turn it is to compute a report.

    Every method raises `StoreUnavailable` where the store cannot be reached, and leaves nothing half-done. A
    cancellation ends the query on the server and gives the connection back or discards it. What is kept is text without
    NUL; an id that is none is nobody's.
    """

    async def save(self, report: StoredReport) -> bool:
        """Keep the report unless one of its id is there already, and whole; whether this call inserted it."""
        ...

    async def load(self, analysis_id: str) -> StoredReport | None:
        """The report of this id, if it is kept.

        Raises:
            StoreUnavailable: also where its bytes no longer have its digest.
        """
        ...

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Reports, newest first, without their bodies (`report`, `provenance` and `figures` are empty)."""
        ...

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are kept."""
        ...

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Remove reports; the ids of those that were there. An engine that holds one in memory learns of it."""
        ...

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """Ids of reports computed before a time, oldest first, unless a job that ended since then refers to them.

        Args:
            before: ISO 8601 in UTC.
            limit: how many at most.
        """
        ...

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Enter the data set unless its id is there already; the row as it now stands."""
        ...

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """The data set of this id, if it is registered."""
        ...

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Every data set: samples first, then newest first."""
        ...

    async def forget(self, dataset_id: str) -> bool:
        """Strike the data set from the registry; whether it was there. Its reports stay."""
        ...

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Enter the job, or how it has ended; how a job ended stands, unless that was `interrupted`.

        Args:
            job: the job.
            owner: the engine that runs it.
            seconds: how long it counts as running without `renew_jobs`.
        """
        ...

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Say that the owner still runs its jobs; how many those are."""
        ...

    async def interrupt_jobs(self, owner: str, *, finished_at: str, job_id: str | None = None) -> int:
        """Mark what the owner ran as interrupted; how many jobs those were.

        Args:
            owner: the engine, which is gone, or does not run this job.
            finished_at: ISO 8601 in UTC.
            job_id: only this job; all if absent.
        """
        ...

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Strike jobs that ended long ago; how many those were. One that has not ended is never struck.

        A job that nobody has renewed for a day is written down as interrupted now, and goes when that is long ago.
        Turns that have ended by themselves go as well.

        Args:
            ended_before: ISO 8601 in UTC; what ended earlier goes.
            most: how many ended jobs stay, the latest ones.
            now: ISO 8601 in UTC.
        """
        ...

    async def job(self, job_id: str) -> JobRecord | None:
        """The job of this id, if there was one; `interrupted` where its owner has not renewed it in time."""
        ...

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Take the turn to compute something for a while, or prolong it; whether the token has it now.

        A turn that is neither prolonged nor released ends by itself, on the clock of the store.
        """
        ...

    async def release_turn(self, key: str, *, token: str) -> None:
        """Give the turn back, if the token has it."""
        ...

    async def jobs(
        self,
        *,
        dataset_id: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page[JobRecord]:
        """Jobs, newest first, with the status that `job` gives them."""
        ...

    async def delete_job(self, job_id: str) -> bool:
        """Remove the record of a job that does not run; whether this call did."""
        ...

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Remove the records of all jobs on a data set that do not run; how many those were."""
        ...

    async def ping(self) -> None:
        """Nothing, if the store answers."""
        ...

    async def migrate(self) -> int:
        """Bring the schema to the newest step; how many steps that took. Several may do it at once."""
        ...

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Every step of the schema that this code knows, in order."""
        ...
