"""The answers of the other contrasts, where a treatment has more than two levels."""

from collections.abc import Mapping

from cqox.contract import Decision, Report
from cqox.contract.messages import Message
from cqox.exports.document import Entries, Entry, Section, Tone
from cqox.exports.reading import other_decisions
from cqox.exports.wording import Wording

__all__ = ["contrasts"]

_TONES: Mapping[str, Tone] = {"GO": "good", "CANARY": "caution", "HOLD": "bad"}


def contrasts(report: Report, wording: Wording) -> Section:
    """Return the section of the contrasts that the decision is not about; without a block where there are none."""
    entries = tuple(_entry(label, each, wording) for label, each in other_decisions(report).items())
    blocks = (Entries(heading="", entries=entries),) if entries else ()
    return Section(name="contrasts", heading=wording(Message("exports.contrasts")), blocks=blocks)


def _entry(label: str, decision: Decision, wording: Wording) -> Entry:
    return Entry(
        name=wording(label),
        text=wording(decision.headline or ""),
        badge=wording(decision.verdict),
        tone=_TONES[decision.verdict],
        details=tuple(wording(reason) for reason in decision.reasons),
    )
