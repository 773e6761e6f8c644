"""The content of a document, from a report and its figures."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from cqox.contract import Report
from cqox.contract.labels import described
from cqox.contract.messages import Language, Message, of
from cqox.exports.contrasts import contrasts
from cqox.exports.document import Document, Tone
from cqox.exports.effects import effect
from cqox.exports.estimates import estimates
from cqox.exports.findings import findings, notes
from cqox.exports.gates import gates
from cqox.exports.ledger import ledger
from cqox.exports.pictures import pictures
from cqox.exports.provenance import moment, provenance
from cqox.exports.reading import level_of, outcome_and_treatment, translated
from cqox.exports.wording import Wording

__all__ = ["document_of"]

_TONES: Mapping[str, Tone] = {"GO": "good", "CANARY": "caution", "HOLD": "bad"}
_MEANINGS = {
    "GO": Message("definitions.go"),
    "CANARY": Message("definitions.canary"),
    "HOLD": Message("definitions.hold"),
}


def document_of(
    report: Report,
    specs: Mapping[str, Mapping[str, JsonValue]],
    *,
    language: Language,
    created_at: datetime | None = None,
    title: str | None = None,
    remarks: str | None = None,
) -> Document:
    """Return a report as a document.

    Args:
        report: as the API returns it in English.
        specs: figure name to Vega-Lite specification, as the API returns it in English.
        language: language of the document.
        created_at: when the report was computed.
        title: title of the document; of treatment and outcome if None.
        remarks: what its owner wrote about the report, paragraphs with an empty line between them.
    """
    found = translated(report, language)
    wording = Wording(language=language, level=level_of(report))
    decision = found.decision
    primary = None if decision.primary is None else described(decision.primary)
    verdict_line = Message("exports.verdict", verdict=decision.verdict)
    if primary is not None:
        verdict_line = Message("exports.verdict-on", verdict=decision.verdict, primary=of(primary))
    sections = (
        effect(found, wording),
        ledger(found.identification, wording),
        gates(found.gates, wording),
        estimates(found, wording),
        contrasts(found, wording),
        pictures(found, specs, wording),
        findings(found, wording),
        notes(found, wording),
        provenance(found, wording, created_at),
    )
    return Document(
        language=language,
        title=wording(_title(found) if title is None else title),
        subtitle=wording(_subtitle(found, created_at)),
        headline=wording(decision.headline or ""),
        verdict=decision.verdict,
        verdict_line=wording(verdict_line),
        tone=_TONES[decision.verdict],
        meaning=wording(_MEANINGS[decision.verdict]),
        reasons=tuple(wording(reason) for reason in decision.reasons),
        remarks=tuple(wording(each) for each in (remarks or "").split("\n\n") if each.strip()),
        sections=tuple(section for section in sections if section.blocks),
    )


def _title(report: Report) -> Message:
    outcome, treatment = outcome_and_treatment(report)
    if outcome is None:
        return Message("exports.title-without-outcome")
    if "reward" in report.mapping:
        return Message("exports.title-of-value", outcome=outcome)
    if treatment is None:
        return Message("exports.title-of-outcome", outcome=outcome)
    return Message("exports.title", outcome=outcome, treatment=treatment)


def _subtitle(report: Report, created_at: datetime | None) -> Message:
    if created_at is None:
        return Message("exports.subtitle", dataset=report.dataset_id)
    return Message("exports.subtitle-and-time", dataset=report.dataset_id, time=moment(created_at))
