"""Records as a sealed store writes them: names, texts and reports are encrypted, ids, times and numbers are not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, cast

from cqox.encryption import is_sealed
from cqox.storage.contracts import DatasetRecord, JobRecord, Record, StoredReport
from cqox.storage.history import Annotation, ReportSummary
from cqox.storage.sealing import TenantSealing, is_marked

__all__ = ["SealedRecords", "has_sealed", "name_of", "queryable"]

_FIELDS: Mapping[type, tuple[str, str, tuple[str, ...]]] = {
    StoredReport: (
        "report",
        "analysis_id",
        ("report", "provenance", "figures", "outcome", "treatment", "headline"),
    ),
    DatasetRecord: ("dataset", "dataset_id", ("name", "description")),
    JobRecord: ("job", "job_id", ("problem",)),
    Annotation: ("annotation", "analysis_id", ("title", "notes", "searched")),
}
"""Name of each kind of record, the field of its id, and its encrypted fields."""

_FACTS = (
    "name", "family", "estimand", "status", "estimate", "standard_error", "ci_lower", "ci_upper", "p_value", "n",
)  # fmt: skip


class SealedRecords:
    """Seals and opens records of one tenant; blocking where a data key is not known yet.

    Args:
        sealing: encryption at rest for the tenant.

    Methods that open raise as those of `TenantSealing` do.
    """

    def __init__(self, sealing: TenantSealing) -> None:
        self._sealing = sealing

    def sealed[Of: Record](self, record: Of) -> Of:
        """Return a record as it is to be stored."""
        if not self._sealing.is_on and not has_sealed(record):
            return record
        changed = {field: self._seal(value, context) for field, (value, context) in _values(record).items()}
        if isinstance(record, StoredReport) and _digest(record.report, like=record.digest) == record.digest:
            # Of what is stored; a report that was damaged before stays recognizable as such.
            changed["digest"] = _digest(changed["report"], like=record.digest)
        return replace(record, **changed)

    def opened[Of: Record](self, record: Of) -> Of:
        """Return a stored record in plain text."""
        changed = {field: self._open(value, context) for field, (value, context) in _values(record).items()}
        if isinstance(record, StoredReport) and is_sealed(record.report):
            changed["digest"] = _digest(changed["report"], like=record.digest)
        return replace(record, **changed)

    def opened_summary(self, summary: ReportSummary) -> ReportSummary:
        """Return a summary in plain text, but for its notes, which were cut."""
        report, dataset = f"report/{summary.analysis_id}", f"dataset/{summary.dataset_id}"
        text = self._sealing.open_text
        return replace(
            summary,
            outcome=text(summary.outcome, f"{report}/outcome"),
            treatment=text(summary.treatment, f"{report}/treatment"),
            headline=text(summary.headline, f"{report}/headline"),
            dataset_name=text(summary.dataset_name, f"{dataset}/name"),
            title=text(summary.title, f"annotation/{summary.analysis_id}/title"),
        )

    def opened_text(self, text: str, record: str, identity: str, field: str) -> str:
        """Return one stored text in plain; the field may have the record before its name, as `dataset_name`."""
        return self._sealing.open_text(text, f"{record}/{identity}/{field.removeprefix(f'{record}_')}") or ""

    def sealed_name(self, dataset_id: str, name: str) -> str:
        """Return the name of a data set as it is to be stored."""
        return self._sealing.seal_text(name, f"dataset/{dataset_id}/name") or name

    def is_current(self, record: Record) -> bool:
        """Return whether a stored record is as it would be written now."""
        values = [value for value, _ in _values(record).values()]
        texts = all(self._sealing.is_current_text(each) for each in values if isinstance(each, str))
        return texts and all(self._sealing.is_current(each) for each in values if isinstance(each, bytes))

    def _seal(self, value: bytes | str | None, context: str) -> Any:  # noqa: ANN401 - of the type of the value
        sealing = self._sealing
        return sealing.seal(value, context) if isinstance(value, bytes) else sealing.seal_text(value, context)

    def _open(self, value: bytes | str | None, context: str) -> Any:  # noqa: ANN401 - of the type of the value
        sealing = self._sealing
        return sealing.open(value, context) if isinstance(value, bytes) else sealing.open_text(value, context)


def has_sealed(record: Record | ReportSummary) -> bool:
    """Return whether anything in a record is sealed, or looks so."""
    if isinstance(record, ReportSummary):
        named = (record.outcome, record.treatment, record.headline, record.dataset_name, record.title, record.notes)
        return any(map(_is_sealed, named))
    return any(_is_sealed(value) for value, _ in _values(record).values())


def name_of(record: Record | ReportSummary) -> str:
    """Return what a record is, for a log."""
    if isinstance(record, ReportSummary):
        return f"analysis {record.analysis_id}"
    kind, key, _ = _FIELDS[type(record)]
    return f"{kind} {getattr(record, key)}"


def queryable(report: bytes) -> bytes:
    """Return what SQL can query of a sealed report: names of estimators, and numbers."""
    try:
        content = json.loads(report)
    except ValueError:
        return b"{}"
    estimates = content.get("estimates") if isinstance(content, dict) else None
    rows = [each for each in estimates if isinstance(each, dict)] if isinstance(estimates, list) else []
    return json.dumps({"estimates": [{name: row[name] for name in _FACTS if name in row} for row in rows]}).encode()


def _values(record: Record) -> dict[str, tuple[bytes | str | None, str]]:
    """Return the encrypted fields of a record, with their contexts."""
    kind, key, fields = _FIELDS[type(record)]
    within = f"{kind}/{getattr(record, key)}"
    return {field: (cast("bytes | str | None", getattr(record, field)), f"{within}/{field}") for field in fields}


def _digest(content: bytes, *, like: str) -> str:
    return blake2b(content, digest_size=len(like) // 2 or 1).hexdigest()


def _is_sealed(value: bytes | str | None) -> bool:
    return is_sealed(value) if isinstance(value, bytes) else is_marked(value)
