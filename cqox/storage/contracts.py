"""What a store must do, whatever is behind it. Each contract has one test suite that runs on every backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["DatasetRecord", "Page", "ResultCache", "ResultStore", "StoredReport"]


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
class Page[Item]:
    """A part of a listing, newest first.

    Attributes:
        items: the rows of this page.
        next: give it as `before` for the following page; None on the last.
    """

    items: Sequence[Item]
    next: str | None


class ResultCache(Protocol):
    """Finished reports, near at hand. Losing any of them changes speed alone."""

    async def get(self, analysis_id: str) -> StoredReport | None:
        """The report, or None where it is not held. Never raises for a value that is damaged: that is a miss."""
        ...

    async def put(self, report: StoredReport) -> None:
        """Hold the report for a while; may drop others, or this one."""
        ...

    async def discard(self, analysis_id: str) -> None:
        """Hold it no longer."""
        ...


class ResultStore(Protocol):
    """Finished reports and the registry of data sets, kept for good.

    Every method raises `StoreUnavailable` where the store cannot be reached, and leaves nothing half-done. A
    cancellation ends the query on the server and gives the connection back or discards it.
    """

    async def save(self, report: StoredReport) -> bool:
        """Keep the report unless one of its id is there already; whether this call inserted it."""
        ...

    async def load(self, analysis_id: str) -> StoredReport | None:
        """The report of this id, if it is kept."""
        ...

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Reports, newest first, without their bodies (`report`, `provenance` and `figures` are empty)."""
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

    async def ping(self) -> None:
        """Nothing, if the store answers."""
        ...
