"""Answers of the tools: reports, data sets and catalogs without what an assistant does not need."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from cqox.api.estimates_table import grouped
from cqox.contract import Options
from cqox.contract.messages import Language, joined

__all__ = ["MOST_BYTES", "of_dataset", "of_estimators", "of_report", "of_roles"]

type _Json = dict[str, JsonValue]

MOST_BYTES = 64 * 1024
"""Size that no answer exceeds on data of a few hundred columns."""

_DIGITS = 6
_MOST_COLUMNS, _MOST_ROWS, _MOST_CANDIDATES, _MOST_LEVELS = 150, 3, 4, 12
_MOST_ESTIMATES, _MOST_REMARKS, _MOST_FINDINGS = 60, 20, 30
_ESTIMATE = ("name", "estimand", "contrast", "status", "estimate", "ci_lower", "ci_upper", "p_value")
_PRIMARY = (*_ESTIMATE, "standard_error", "se_method", "n")


def of_report(report: Mapping[str, Any]) -> _Json:
    """Return headline, verdict, effect, ledger, gates that ask for something, findings and estimates of a report."""
    decision, gates = report["decision"], report["gates"]
    by_status = {status: [name for name, gate in gates.items() if gate["status"] == status] for status in _STATUSES}
    return _plain(
        {
            "headline": decision["headline"],
            "verdict": decision["verdict"],
            "reasons": decision["reasons"],
            "effect": report["effect"],
            "primary": _primary(report),
            "identification": report["identification"],
            "gates": {
                "fail": [_gate(name, gates[name]) for name in by_status["fail"]],
                "warn": [_gate(name, gates[name]) for name in by_status["warn"]],
                "pass": by_status["pass"],
                "not_applicable": len(by_status["not_applicable"]),
            },
            "findings": _findings(report),
            "estimates": _estimates(report),
            "notes": report["notes"][:_MOST_REMARKS],
            "warnings": grouped(report["warnings"])[:_MOST_REMARKS],
            "errors": report["errors"][:_MOST_REMARKS],
            "rows": report["provenance"]["rows"],
            "rows_used": report["provenance"]["rows_used"],
            "mapping": report["mapping"],
            "options": _chosen(report["options"]),
            "analysis_id": report["analysis_id"],
        }
    )


def of_dataset(description: Mapping[str, Any]) -> _Json:
    """Return rows, columns with their kinds, and findings of a data set."""
    columns = description["columns"]
    return _plain(
        {
            "rows": description["rows"],
            "columns": [_column(each) for each in columns[:_MOST_COLUMNS]],
            "more_columns": max(len(columns) - _MOST_COLUMNS, 0),
            "first_rows": [dict(list(row.items())[:_MOST_COLUMNS]) for row in description["preview"][:_MOST_ROWS]],
            "format": description["format"],
            "encoding": description["encoding"],
            "notes": description["notes"][:_MOST_REMARKS],
            "findings": _findings(description),
        }
    )


def of_roles(inference: Mapping[str, Any], language: Language) -> _Json:
    """Return the suggested mapping, the best candidates of each role, and what is missing.

    Args:
        inference: the suggestion, in the language.
        language: language of its sentences.
    """

    def candidate(each: Mapping[str, Any]) -> dict[str, Any]:
        return {**each, "reasons": joined(each["reasons"]).in_language(language)}

    return _plain(
        {
            "mapping": inference["mapping"],
            "candidates": {
                role: [candidate(each) for each in found[: _most(role)]]
                for role, found in inference["candidates"].items()
            },
            "missing": inference["missing"],
            "notes": inference["notes"],
            "findings": _findings(inference),
        }
    )


def of_estimators(catalog: Sequence[Mapping[str, Any]]) -> _Json:
    """Return name, estimand, needs and summary of estimators."""
    names = ("name", "family", "estimand", "summary", "requires", "optional", "on_request")
    return {"estimators": [_plain({name: each[name] for name in names}) for each in catalog]}


_STATUSES = ("fail", "warn", "pass", "not_applicable")
_SEVERAL = frozenset({"covariates"})


def _most(role: str) -> int:
    return _MOST_COLUMNS if role in _SEVERAL else _MOST_CANDIDATES


def _gate(name: str, gate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "value": gate["value"],
        "threshold": gate["threshold"],
        "reason": gate["reason"] or gate["rule"],
    }


def _primary(report: Mapping[str, Any]) -> dict[str, Any] | None:
    name = report["decision"]["primary"]
    found = next((each for each in report["estimates"] if each["name"] == name), None)
    if found is None:
        return None
    return {**{key: found[key] for key in _PRIMARY}, "why_this_one": report["decision"]["primary_rule"]}


def _estimates(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the estimates with a number, then those that failed with their reasons."""
    estimates = report["estimates"]
    found = [{key: each[key] for key in _ESTIMATE} for each in estimates if each["estimate"] is not None]
    failed = [{"name": each["name"], "failed": each["reason"]} for each in estimates if each["status"] == "failed"]
    return [*found, *failed][:_MOST_ESTIMATES]


def _findings(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = ("code", "severity", "message", "columns", "remedy", "accepted")
    return [{key: each[key] for key in keys} for each in document["findings"][:_MOST_FINDINGS]]


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: column[key] for key in ("name", "kind", "missing", "distinct", "minimum", "maximum", "mean", "notes")}
    return {**kept, "levels": (column["levels"] or [])[:_MOST_LEVELS]}


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from their defaults."""
    usual = Options.model_construct().model_dump(mode="json")
    return {name: value for name, value in options.items() if value != usual.get(name)}


def _plain(document: Mapping[str, Any]) -> _Json:
    """Return a document with short numbers and without members that say nothing: null, and empty lists and objects."""
    return {name: each for name, value in document.items() if (each := _value(value)) not in (None, [], {})}


def _value(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    return value
