"""Values of a report that several parts of a document need."""

from collections.abc import Mapping

from pydantic import JsonValue

from cqox.contract import Decision, Report
from cqox.contract.messages import LANGUAGES, Language, translate_document

__all__ = ["level_of", "main_contrast", "other_decisions", "outcome_and_treatment", "translated"]


def translated(report: Report, language: Language) -> Report:
    """Return a report with its sentences in a language; English ones stay as they were written."""
    if language == LANGUAGES[0] or not report.messages:
        return report
    document = report.model_dump(mode="json")
    translate_document(document, report.messages, language)
    return Report.model_validate(document)


def level_of(report: Report) -> float:
    """Return the confidence level of a report's intervals, in percent."""
    alpha = report.options.get("alpha")
    return 100 * (1 - (alpha if isinstance(alpha, float) else 0.05))


def outcome_and_treatment(report: Report) -> tuple[str | None, str | None]:
    """Return the columns of outcome and treatment; None for one that the mapping does not name."""
    columns = {role: value if isinstance(value, str) else None for role, value in report.mapping.items()}
    outcome = next((columns[role] for role in ("y", "reward") if columns.get(role)), None)
    treatment = next((columns[role] for role in ("treatment", "dose", "action") if columns.get(role)), None)
    return outcome, treatment


def main_contrast(report: Report) -> str | None:
    """Return the label of the contrast that the decision is about; None for a single comparison."""
    others = other_decisions(report)
    return next((each.contrast for each in report.estimates if each.contrast and each.contrast not in others), None)


def other_decisions(report: Report) -> Mapping[str, Decision]:
    """Return the decisions on the other contrasts, by label; empty for a single comparison."""
    found = report.diagnostics.get("contrasts")
    known = found if isinstance(found, dict) else {}
    return {label: decision for label, each in known.items() if (decision := _decision(each)) is not None}


def _decision(found: JsonValue) -> Decision | None:
    decision = found.get("decision") if isinstance(found, dict) else None
    return Decision.model_validate(decision) if isinstance(decision, dict) else None
