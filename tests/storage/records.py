"""Records for the tests of stores."""

from dataclasses import replace
from hashlib import blake2b, sha256

from cqox.security import AuditEvent
from cqox.storage import (
    Annotation,
    ApiKeyRecord,
    DatasetRecord,
    ErasureRecord,
    JobRecord,
    JobStatus,
    ReportSummary,
    Share,
    StoredReport,
    TenantRecord,
)


def a_report(
    number: int, *, dataset_id: str = "d", created_at: str | None = None, body: bytes | None = None
) -> StoredReport:
    content = body if body is not None else b'{"number":%d}' % number
    return StoredReport(
        analysis_id=f"{number:032x}",
        dataset_id=dataset_id,
        created_at=created_at or f"2026-01-01T00:00:{number % 60:02d}.000000+00:00",
        status="ok",
        verdict="GO",
        primary="ols_adjustment",
        estimate=number / 7,
        report=content,
        provenance=b'{"seed":0}',
        figures=b"{}",
        digest=blake2b(content, digest_size=16).hexdigest(),
    )


def a_dataset(
    name: str, *, created_at: str = "2026-01-01T00:00:00.000000+00:00", sample: bool = False
) -> DatasetRecord:
    return DatasetRecord(
        dataset_id=name,
        digest=f"digest of {name}",
        name=f"{name}.csv",
        rows=3,
        columns=2,
        size_bytes=20,
        created_at=created_at,
        sample=sample,
        description='{"notes":["日本語"]}'.encode(),
    )


def a_job(job_id: str) -> JobRecord:
    return JobRecord(
        job_id=job_id,
        dataset_id="d",
        status="running",
        created_at="2026-01-01T00:00:00.000000+00:00",
        finished_at=None,
        analysis_id=None,
        problem=None,
    )


def an_ended_job(name: str, at: str, status: JobStatus = "succeeded") -> JobRecord:
    return replace(a_job(name), status=status, finished_at=at)


def an_annotation(
    number: int,
    version: str,
    *,
    title: str | None = None,
    notes: str | None = None,
    at: str = "2026-01-02T00:00:00+00:00",
) -> Annotation:
    return Annotation(
        analysis_id=f"{number:032x}",
        title=title,
        notes=notes,
        updated_at=at,
        version=version,
        searched=f"{title or ''}\n{notes or ''}".casefold(),
    )


def a_summary(number: int) -> ReportSummary:
    report = a_report(number)
    return ReportSummary(
        analysis_id=report.analysis_id,
        dataset_id=report.dataset_id,
        created_at=report.created_at,
        status=report.status,
        verdict=report.verdict,
        primary=report.primary,
        estimate=report.estimate,
        outcome="y",
        treatment="w",
        headline=None,
        dataset_name="d.csv",
        title="Spring",
        notes=None,
    )


def a_share(number: int, share_id: str, *, expires_at: str = "2026-02-01T00:00:00+00:00") -> Share:
    return Share(
        share_id=share_id,
        analysis_id=f"{number:032x}",
        digest=sha256(share_id.encode()).hexdigest(),
        created_at="2026-01-01T00:00:00+00:00",
        expires_at=expires_at,
    )


def a_tenant(tenant_id: str, *, name: str = "", erased_at: str | None = None) -> TenantRecord:
    return TenantRecord(
        tenant_id=tenant_id, name=name or tenant_id, created_at="2026-01-01T00:00:00+00:00", erased_at=erased_at
    )


def a_key(
    key_id: str,
    tenant_id: str = "acme",
    *,
    scopes: tuple[str, ...] | None = None,
    at: str = "2026-01-01T00:00:00+00:00",
) -> ApiKeyRecord:
    return ApiKeyRecord(
        key_id=key_id,
        tenant_id=tenant_id,
        digest=sha256(key_id.encode()).digest(),
        name="夜間",
        roles=("analyst", "steward"),
        scopes=scopes,
        created_at=at,
        expires_at=None,
        last_used_on=None,
        revoked_at=None,
    )


def an_event(number: int, tenant: str = "default", *, subject: str = "key:a", thing: str = "dataset:d") -> AuditEvent:
    return AuditEvent(
        event_id=f"{number:032x}",
        at=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.000000+00:00",
        tenant=tenant,
        subject=subject,
        kind="key",
        action="read_dataset",
        object=thing,
        outcome="done",
        request_id=f"r{number}",
    )


def an_erasure(number: int = 1, *, finished_at: str | None = None, receipt: bytes = b'{"reports":{}}') -> ErasureRecord:
    return ErasureRecord(
        erasure_id=f"{number:032x}",
        what="dataset",
        object_id="d",
        requested_by="key:a",
        requested_at=f"2026-01-01T00:00:{number:02d}.000000+00:00",
        finished_at=finished_at,
        receipt=receipt,
    )
