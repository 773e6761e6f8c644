"""Conversion of records to rows for the SQL backends: the columns of each table, in the order of the fields."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.security import AuditEntry
from cqox.storage.contracts import DatasetRecord, JobRecord, Record, StoredReport
from cqox.storage.erasures import ErasureRecord
from cqox.storage.history import Annotation, ReportSummary
from cqox.storage.identities import ApiKeyRecord, TenantRecord, TenantRetention
from cqox.storage.pages import Page
from cqox.storage.shares import Share
from cqox.storage.tenant_ids import TenantKeys

__all__ = [
    "ABANDONED_SECONDS",
    "ANNOTATION",
    "API_KEY",
    "AUDIT",
    "DATASET",
    "ENTRY_DIGITS",
    "ERASURE",
    "JOB",
    "NOTES_CHARACTERS",
    "REPORT",
    "RESEALED",
    "RETENTION",
    "SHARE",
    "TENANT",
    "Loaded",
    "annotation_of",
    "dataset_of",
    "entry_of",
    "erasure_of",
    "is_text",
    "job_of",
    "key_of",
    "loaded",
    "page_of",
    "page_of_entries",
    "page_of_jobs",
    "page_of_summaries",
    "position",
    "report_of",
    "resealed_values",
    "retention_of",
    "row_of",
    "row_of_key",
    "share_of",
    "tenant_of",
    "verified",
]

REPORT = (
    'analysis_id, dataset_id, created_at, status, verdict, "primary", estimate, report, provenance, figures, digest, '
    "outcome, treatment, headline"
)
ANNOTATION = "analysis_id, title, notes, updated_at, version, searched"
SHARE = "share_id, analysis_id, digest, created_at, expires_at"
NOTES_CHARACTERS = 200
"""Length of the beginning of the notes in a listing; one more character is read, which says that there are more."""
DATASET = "dataset_id, digest, name, rows, columns, size_bytes, created_at, sample, description, owner"
API_KEY = "key_id, tenant_id, digest, name, roles, scopes, created_at, expires_at, last_used_on, revoked_at"
TENANT = "tenant_id, name, created_at, erased_at"
RETENTION = "keep_reports_days, keep_datasets_days, keep_jobs_days"
JOB = "job_id, dataset_id, status, created_at, finished_at, analysis_id, problem"
ERASURE = "erasure_id, what, object_id, requested_by, requested_at, finished_at, receipt"
AUDIT = "event_id, at, tenant_id, subject, kind, action, object, outcome, request_id, seq, previous, digest"
"""The columns of an entry of the audit log; the key before them is the tenant with the number."""
ENTRY_DIGITS = 12
"""Digits of the number in the key of an entry, so that keys are in the order of the log."""
ABANDONED_SECONDS = 86_400.0
"""Seconds after the expiry of its lease for which the row of a job still says `running`."""

_logger = logging.getLogger("cqox.storage")


RESEALED: Mapping[type, tuple[str, str, tuple[str, ...]]] = {
    StoredReport: (
        "reports",
        "analysis_id",
        ("report", "provenance", "figures", "digest", "outcome", "treatment", "headline"),
    ),
    DatasetRecord: ("datasets", "dataset_id", ("name", "description")),
    JobRecord: ("jobs", "job_id", ("problem",)),
    Annotation: ("annotations", "analysis_id", ("title", "notes", "searched")),
}
"""Table, key and encrypted columns of each kind of record."""


def resealed_values(record: Record) -> list[object]:
    """Return the values of the encrypted columns of a record, in the order of `RESEALED`."""
    return [getattr(record, column) for column in RESEALED[type(record)][2]]


def is_text(*texts: str | None) -> bool:
    """Return whether every database can store the texts; an id that cannot be stored matches no row."""
    given = [text for text in texts if text is not None]
    return not any("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text) for text in given)


def row_of(
    record: StoredReport
    | DatasetRecord
    | JobRecord
    | Annotation
    | ReportSummary
    | Share
    | TenantRecord
    | AuditEntry
    | ErasureRecord,
) -> tuple[object, ...]:
    """Return the values of a record, in the order of its columns."""
    return tuple(getattr(record, name) for name in record.__dataclass_fields__)


def report_of(row: Sequence[object], keys: TenantKeys) -> StoredReport:
    """Return the report in a row of the columns `REPORT`."""
    return keys.plain_record(StoredReport(**dict(zip(StoredReport.__dataclass_fields__, row, strict=True))))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A report as loaded from its row.

    Attributes:
        report: content of the row.
        is_intact: whether its bytes match its digest.
    """

    report: StoredReport
    is_intact: bool


def loaded(row: Sequence[object] | None, keys: TenantKeys) -> Loaded | None:
    """Return the report in a row of the columns `REPORT` with its digest checked; None without a row."""
    if row is None:
        return None
    report = report_of(row, keys)
    digest = blake2b(report.report, digest_size=len(report.digest) // 2 or 1).hexdigest()
    return Loaded(report=report, is_intact=digest == report.digest)


def verified(found: Loaded | None) -> StoredReport | None:
    """Return the report, or None.

    Raises:
        StoreUnavailable: its bytes do not match its digest.
    """
    if found is None:
        return None
    if not found.is_intact:
        identity = found.report.analysis_id
        _logger.error("The stored analysis %s is damaged: its bytes do not match its digest.", identity)
        raise StoreUnavailable(Message("storage.analysis-damaged", analysis=identity))
    return found.report


def dataset_of(row: Sequence[object], keys: TenantKeys) -> DatasetRecord:
    """Return the data set in a row of the columns `DATASET`."""
    values = dict(zip(DatasetRecord.__dataclass_fields__, row, strict=True))
    values["sample"] = bool(values["sample"])
    return keys.plain_record(DatasetRecord(**values))  # type: ignore[arg-type]


def job_of(row: Sequence[object], keys: TenantKeys) -> JobRecord:
    """Return the job in a row of the columns `JOB`."""
    return keys.plain_record(JobRecord(**dict(zip(JobRecord.__dataclass_fields__, row, strict=True))))  # type: ignore[arg-type]


def page_of(rows: Sequence[Sequence[object]], limit: int, keys: TenantKeys) -> Page[StoredReport]:
    """Return a page from up to `limit + 1` rows."""
    items = [report_of(row, keys) for row in rows[:limit]]
    more = len(rows) > limit and bool(items)
    return Page(items=items, next=f"{items[-1].created_at}|{items[-1].analysis_id}" if more else None)


def page_of_jobs(rows: Sequence[Sequence[object]], limit: int, keys: TenantKeys) -> Page[JobRecord]:
    """Return a page of jobs from up to `limit + 1` rows."""
    items = [job_of(row, keys) for row in rows[:limit]]
    more = len(rows) > limit and bool(items)
    return Page(items=items, next=f"{items[-1].created_at}|{items[-1].job_id}" if more else None)


def page_of_summaries(rows: Sequence[Sequence[object]], limit: int, keys: TenantKeys) -> Page[ReportSummary]:
    """Return a page of summaries from up to `limit + 1` rows, whose values are in the order of the fields."""
    fields = ReportSummary.__dataclass_fields__
    found = [ReportSummary(**dict(zip(fields, row, strict=True))) for row in rows[:limit]]  # type: ignore[arg-type]
    items = [keys.plain_record(each) for each in found]
    more = len(rows) > limit and bool(items)
    return Page(items=items, next=f"{items[-1].created_at}|{items[-1].analysis_id}" if more else None)


def annotation_of(row: Sequence[object], keys: TenantKeys) -> Annotation:
    """Return the annotation in a row of the columns `ANNOTATION`."""
    return keys.plain_record(Annotation(**dict(zip(Annotation.__dataclass_fields__, row, strict=True))))  # type: ignore[arg-type]


def share_of(row: Sequence[object], keys: TenantKeys) -> Share:
    """Return the share link in a row of the columns `SHARE`."""
    return keys.plain_record(Share(**dict(zip(Share.__dataclass_fields__, row, strict=True))))  # type: ignore[arg-type]


def tenant_of(row: Sequence[object]) -> TenantRecord:
    """Return the tenant in a row of the columns `TENANT`."""
    return TenantRecord(**dict(zip(TenantRecord.__dataclass_fields__, row, strict=True)))  # type: ignore[arg-type]


def retention_of(row: Sequence[object] | None) -> TenantRetention:
    """Return the retention periods in a row of the columns `RETENTION`; none without a row."""
    if row is None:
        return TenantRetention()
    return TenantRetention(**dict(zip(TenantRetention.__dataclass_fields__, row, strict=True)))  # type: ignore[arg-type]


def row_of_key(record: ApiKeyRecord) -> tuple[object, ...]:
    """Return the values of an API key in the order of `API_KEY`; roles and scopes are JSON."""
    texts = {"roles": json.dumps(record.roles), "scopes": None if record.scopes is None else json.dumps(record.scopes)}
    return tuple(texts.get(name, getattr(record, name)) for name in ApiKeyRecord.__dataclass_fields__)


def key_of(row: Sequence[object]) -> ApiKeyRecord:
    """Return the API key in a row of the columns `API_KEY`."""
    values = dict(zip(ApiKeyRecord.__dataclass_fields__, row, strict=True))
    values["roles"] = tuple(json.loads(str(values["roles"])))
    values["scopes"] = None if values["scopes"] is None else tuple(json.loads(str(values["scopes"])))
    return ApiKeyRecord(**values)  # type: ignore[arg-type]


def entry_of(row: Sequence[object]) -> AuditEntry:
    """Return the entry of the audit log in a row of the columns `AUDIT`."""
    return AuditEntry(**dict(zip(AuditEntry.__dataclass_fields__, row, strict=True)))  # type: ignore[arg-type]


def page_of_entries(rows: Sequence[Sequence[object]], limit: int) -> Page[AuditEntry]:
    """Return a page of the audit log from up to `limit + 1` rows."""
    items = [entry_of(row) for row in rows[:limit]]
    more = len(rows) > limit and bool(items)
    return Page(items=items, next=f"{items[-1].at}|{items[-1].seq}" if more else None)


def erasure_of(row: Sequence[object], keys: TenantKeys) -> ErasureRecord:
    """Return the erasure in a row of the columns `ERASURE`."""
    return keys.plain_record(ErasureRecord(**dict(zip(ErasureRecord.__dataclass_fields__, row, strict=True))))  # type: ignore[arg-type]


def position(before: str, keys: TenantKeys) -> tuple[str, str]:
    """Return the time and the id of a page cursor."""
    created_at, _, identity = before.rpartition("|")
    return created_at, keys.stored(identity)
