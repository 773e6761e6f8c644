"""The origin of the numbers: data, request, version and time. Nothing that differs between two readings of a report."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from cqox.contract import Options, Report
from cqox.contract.messages import Message
from cqox.exports.document import Facts, Section
from cqox.exports.wording import Wording

__all__ = ["moment", "provenance"]


def provenance(report: Report, wording: Wording, created_at: datetime | None) -> Section:
    """Return the section of the origin."""
    origin = report.provenance
    rows: list[tuple[str, str]] = [
        (Message("exports.analysis"), report.analysis_id),
        (Message("exports.dataset"), report.dataset_id),
    ]
    if origin.dataset_digest != report.dataset_id:
        rows.append((Message("exports.digest"), origin.dataset_digest))
    rows.append((Message("exports.rows"), Message("exports.rows-used", rows=origin.rows, used=origin.rows_used)))
    rows += [(Message("exports.role", role=role), _columns(value)) for role, value in report.mapping.items()]
    rows += [(Message("exports.option", option=name), _value(value)) for name, value in _changed(report).items()]
    rows.append((Message("exports.seed"), str(origin.seed)))
    if origin.folds_version is not None:
        rows.append((Message("exports.folds-version"), str(origin.folds_version)))
    if origin.engine is not None:
        rows.append((Message("exports.engine"), origin.engine))
    rows.append((Message("exports.software"), origin.code_version))
    if created_at is not None:
        rows.append((Message("exports.time"), moment(created_at)))
    facts = Facts(rows=tuple((wording(name), wording(value)) for name, value in rows))
    return Section(name="provenance", heading=wording(Message("exports.provenance")), blocks=(facts,))


def moment(when: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _columns(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _changed(report: Report) -> Mapping[str, JsonValue]:
    """Return the options that are not the defaults of this release; the seed stands by itself."""
    defaults = Options().model_dump(mode="json")  # type: ignore[call-arg]
    return {
        name: value
        for name, value in report.options.items()
        if name != "seed" and (name not in defaults or value != defaults[name])
    }


def _value(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
