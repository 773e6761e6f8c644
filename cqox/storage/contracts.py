"""Contract of result stores, independent of the backend; one test suite runs on every backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cqox.storage.audit import AuditStore
from cqox.storage.erasures import ErasureStore
from cqox.storage.facts import FactsStore, ReportFacts
from cqox.storage.history import Annotation, HistoryStore
from cqox.storage.identities import IdentityStore
from cqox.storage.pages import Page
from cqox.storage.placement import PlacedStore
from cqox.storage.schema import MigrationStatus
from cqox.storage.shares import ShareStore

__all__ = [
    "DatasetRecord",
    "JobRecord",
    "JobStatus",
    "Record",
    "ResultDatabase",
    "ResultStore",
    "StoredReport",
]

type JobStatus = Literal["running", "succeeded", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """A finished analysis as stored and returned.

    Attributes:
        analysis_id: digest of the analysis key (data, normalised request, code version).
        dataset_id: the data set that was analysed.
        created_at: when it was computed, ISO 8601 in UTC.
        status: `ok`, `warning` or `failed`, for listings.
        verdict: verdict of the decision, for listings.
        primary: name of the primary estimate, for listings.
        estimate: the primary estimate, for listings.
        report: the report without its provenance, canonical JSON bytes.
        provenance: origin of the numbers, canonical JSON bytes.
        figures: figure name to Vega-Lite specification, canonical JSON bytes.
        digest: BLAKE2b digest of the report's bytes, hexadecimal.
        outcome: column of the outcome, for listings; None in reports of earlier versions, as are the next two.
        treatment: column of the treatment, for listings; None also where the design defines it.
        headline: the answer in one sentence with its code and parameters, JSON, for listings.
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
    outcome: str | None = None
    treatment: str | None = None
    headline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """A data set as registered.

    Attributes:
        dataset_id: digest of its bytes, or the name of a built-in sample.
        digest: digest of its bytes and of any read options that are not the default.
        name: name given by the owner.
        rows: number of rows.
        columns: number of columns.
        size_bytes: size of the upload.
        created_at: when it was first uploaded, ISO 8601 in UTC.
        sample: whether it is built in.
        description: all other fields of the data set that clients receive, JSON bytes.
        owner: the subject that registered it; None where nobody was known, as without a login.
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
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A background analysis as stored.

    Attributes:
        job_id: random identifier.
        dataset_id: the data set under analysis.
        status: current status; `interrupted` if the engine that ran the job has exited.
        created_at: when it started, ISO 8601 in UTC.
        finished_at: when it ended, ISO 8601 in UTC; None while it runs, and if no engine recorded the end.
        analysis_id: id of the report, if it succeeded.
        problem: reason of the failure, JSON bytes.
    """

    job_id: str
    dataset_id: str
    status: JobStatus
    created_at: str
    finished_at: str | None
    analysis_id: str | None
    problem: bytes | None


type Record = StoredReport | DatasetRecord | JobRecord | Annotation
"""A record with contents that can be encrypted."""


class ResultStore(HistoryStore, ShareStore, AuditStore, ErasureStore, FactsStore, Protocol):
    """Durable store of one tenant: reports with annotations and facts, the data set registry, jobs, leases, audit log.

    Every method raises `StoreUnavailable` if the store cannot be reached, and is atomic. A cancellation ends the query
    on the server and returns the connection to the pool or discards it. Stored text is free of NUL; an id that is not
    valid text matches no row.
    """

    async def save(
        self, report: StoredReport, *, document: bytes | None = None, facts: ReportFacts | None = None
    ) -> bool:
        """Insert the report unless an intact one with its id is stored; return whether this call inserted it.

        Args:
            report: the report.
            document: JSON for a store whose reports can be queried, in place of the report's own.
            facts: facts about the report, inserted with it.
        """
        ...

    async def reseal(self, old: Record, new: Record, *, document: bytes | None = None) -> bool:
        """Replace a row by one with the same content, encrypted otherwise.

        Args:
            old: the row as it is stored, whole.
            new: the row as it is to be stored.
            document: of a report, as for `save`.

        Returns:
            False if the row is neither as `old` nor as `new` says.
        """
        ...

    async def load(self, analysis_id: str) -> StoredReport | None:
        """Return the report with this id, or None.

        Raises:
            StoreUnavailable: also if its bytes do not match its digest.
        """
        ...

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Return reports, newest first, without their bodies (`report`, `provenance` and `figures` are empty)."""
        ...

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """Return the subset of the ids that are stored."""
        ...

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Delete reports with their annotations and share links; return the ids of those that existed.

        Engines that cache one in memory are notified.
        """
        ...

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """Return ids of reports computed before a time, oldest first, unless a job that ended since refers to them.

        Args:
            before: ISO 8601 in UTC.
            limit: maximum number of ids.
        """
        ...

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Insert the data set unless its id is registered; return the current row."""
        ...

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set with this id, or None if it is not registered."""
        ...

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Return every data set: samples first, then newest first."""
        ...

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """Give the data set another name; return its row, or None if it is not registered."""
        ...

    async def forget(self, dataset_id: str) -> bool:
        """Delete the data set from the registry; return whether it was there. Its reports stay."""
        ...

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Insert or update the job. A final status is never overwritten, except `interrupted`.

        Args:
            job: the job.
            owner: the engine that runs it.
            seconds: duration of the lease: how long the job counts as running without `renew_jobs`.
        """
        ...

    async def interrupt_job(self, job_id: str, owner: str, *, finished_at: str) -> bool:
        """Mark a running job as interrupted; return whether this call did.

        Args:
            job_id: the job.
            owner: the engine that has recorded it, and does not run it.
            finished_at: ISO 8601 in UTC.
        """
        ...

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Delete jobs that ended long ago; return the number of jobs. A job that has not ended is never deleted.

        A job whose lease expired a day ago is marked as interrupted now, and deleted later. Expired leases of
        computations are deleted as well.

        Args:
            ended_before: ISO 8601 in UTC; jobs that ended earlier are deleted.
            most: how many ended jobs to keep, the latest ones.
            now: ISO 8601 in UTC.
        """
        ...

    async def job(self, job_id: str) -> JobRecord | None:
        """Return the job with this id, or None; its status is `interrupted` if its lease has expired."""
        ...

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute a key; return whether the token holds it now.

        A lease that is neither renewed nor released expires, on the clock of the store. All claims of a key are for the
        same time: a lease that ends much later than one from now may be taken for one from before a step of the clock.
        """
        ...

    async def release_turn(self, key: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        ...

    async def jobs(
        self,
        *,
        dataset_id: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page[JobRecord]:
        """Return jobs, newest first, with the same status as `job`."""
        ...

    async def delete_job(self, job_id: str) -> bool:
        """Delete the record of a job that is not running; return whether this call did."""
        ...

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Delete the records of all jobs on a data set that are not running; return their number."""
        ...


class ResultDatabase(IdentityStore, PlacedStore, Protocol):
    """A result store with what all tenants have; `within` gives the `ResultStore` of one.

    Its own methods are those that belong to no tenant, and the few that serve every tenant at once.
    """

    def within(self, tenant_id: str) -> ResultStore:
        """Return the store of one tenant, which can neither read nor change anything of another.

        Its first call registers the tenant. From the second tenant on earlier releases refuse the store.

        Raises:
            ValueError: the id can be none of a tenant.
        """
        ...

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Renew the leases of the owner's running jobs, of all tenants; return the number of jobs."""
        ...

    async def interrupt_jobs(self, owner: str, *, finished_at: str) -> int:
        """Mark the running jobs of an engine that has exited as interrupted, of all tenants; return their number.

        Args:
            owner: the engine.
            finished_at: ISO 8601 in UTC.
        """
        ...

    async def tenant_of_share(self, digest: str) -> str | None:
        """Return the tenant of the share link whose token has this digest, or None."""
        ...

    async def scrub(self) -> None:
        """Overwrite what deletions have left in the files of the store, where it is this process that writes them.

        A database server does that itself, later.

        Raises:
            StoreUnavailable: another reader keeps old content in use; repeat the call.
        """
        ...

    async def ping(self) -> None:
        """Check that the store answers."""
        ...

    async def migrate(self) -> int:
        """Apply the pending schema migrations; return their number. Safe to call concurrently."""
        ...

    async def finish(self) -> int:
        """Apply the step for several tenants, after which earlier releases refuse the store.

        The first second tenant does the same.

        Returns:
            The number of steps that this call applied: 1, or 0.
        """
        ...

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Return every schema migration that this code knows, in order."""
        ...
