"""Records for the tests of stores."""

from dataclasses import replace
from hashlib import blake2b, sha256

from cqox.security import AuditEvent
from cqox.storage import (
    Annotation,
    ApiKeyRecord,
    DatasetRecord,
    ErasureRecord,
    Item,
    JobRecord,
    JobStatus,
    ReportFacts,
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


FACTS_ITEMS = (
    Item(kind="gate", name="overlap", status="fail", value=0.3, threshold=0.25),
    Item(kind="gate", name="balance", status="pass", value=0.1, threshold=0.25),
    Item(kind="assumption", name="unconfounded", status="untested", amount=1),
    Item(kind="refuter", name="data_subset", status="stands", value=1.0, standard_error=0.1, p_value=0.5, amount=40),
    Item(kind="role", name="y", status="same", amount=1),
    Item(kind="finding", name="arms-differ", part="caps", status="open"),
    Item(
        kind="estimator", name="aipw", part="doubly_robust", detail="ATE", status="ok", value=1.5, standard_error=0.1,
        lower_end=1.3, upper_end=1.7, p_value=0.01, amount=400, seconds=0.5,
    ),
    Item(
        kind="estimator", name="iv_2sls", part="instruments", detail="LATE", status="skipped",
        reason="estimators.missing-role", about="instrument", seconds=0.0,
    ),
)  # fmt: skip


def some_facts(number: int, *, second: int | None = None, verdict: str = "GO") -> ReportFacts:
    return ReportFacts(
        analysis_id=a_report(number).analysis_id,
        created_second=1_000 + number if second is None else second,
        status="ok",
        verdict=verdict,
        primary_name="aipw",
        family="doubly_robust",
        design="comparison",
        assignment="unknown",
        dataset_rows=400,
        rows_used=390,
        mapped_columns=3,
        seconds=2.0,
        estimate=number / 7,
        standard_error=0.1,
        ci_lower=1.3,
        ci_upper=1.7,
        minimum_effect=0.5,
        better="higher",
        position="beyond",
        baseline=10.0,
        relative=0.15,
        replications=40,
        lowest=1.0,
        highest=2.0,
        code_version="1",
        items=FACTS_ITEMS,
    )
