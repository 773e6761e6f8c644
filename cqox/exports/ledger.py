"""The assumption ledger: what must be true, what backs it, what to do."""

from collections.abc import Mapping

from cqox.contract import Assumption, Identification
from cqox.contract.messages import Message, of
from cqox.exports.document import Entries, Entry, Paragraph, Section, Tone
from cqox.exports.wording import Wording

__all__ = ["ledger"]

_STATUSES: Mapping[str, tuple[Message, Tone]] = {
    "supported": (Message("exports.supported"), "good"),
    "declared": (Message("exports.declared"), "plain"),
    "untested": (Message("exports.untested"), "caution"),
    "contradicted": (Message("exports.contradicted"), "bad"),
}


def ledger(identification: Identification | None, wording: Wording) -> Section:
    """Return the section of the assumptions; without a block where the report has no ledger."""
    heading = wording(Message("exports.assumptions"))
    if identification is None:
        return Section(name="assumptions", heading=heading, blocks=())
    entries = tuple(_entry(each, wording) for each in identification.assumptions)
    statement = Paragraph(text=wording(identification.statement))
    return Section(name="assumptions", heading=heading, blocks=(statement, Entries(heading="", entries=entries)))


def _entry(assumption: Assumption, wording: Wording) -> Entry:
    status, tone = _STATUSES[assumption.status]
    to_do = assumption.remedy if assumption.status in ("contradicted", "untested") else None
    return Entry(
        name=wording(assumption.name),
        text=wording(assumption.statement),
        badge=wording(status),
        # What is untested and holds no verdict back is no reason to worry.
        tone="plain" if assumption.status == "untested" and not assumption.caps else tone,
        details=tuple(wording(sentence) for sentence in assumption.evidence),
        action=wording(Message("exports.what-to-do", remedy=of(to_do))) if to_do else None,
    )
