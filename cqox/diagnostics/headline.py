"""The answer in one sentence: what changed, by how much, and whether that may be read as an effect.

An effect is claimed only where every assumption that caps the verdict is supported or declared and no gate fails.
"""

from collections.abc import Sequence

from cqox.contract import Effect, Identification
from cqox.contract.messages import Message, of

__all__ = ["headline"]

_MOST_COLUMNS = 8
"""Columns that the sentence names."""


def headline(
    found: Effect | None,
    identification: Identification | None,
    *,
    contrast: str | None,
    continuous: bool,
    alpha: float,
    differ: Sequence[str] = (),
    failing: Sequence[str] = (),
    findings: Sequence[str] = (),
) -> Message:
    """Return the headline of a contrast.

    Args:
        found: the primary effect, None without a number.
        identification: its ledger.
        contrast: the levels compared, None for a single comparison.
        continuous: whether the treatment is an amount, so that the effect is that of one unit of it.
        alpha: one minus the confidence level.
        differ: columns that are not mapped and by which the arms differ.
        failing: names of the gates that fail.
        findings: codes of the findings on the data that keep the verdict at CANARY, without that on these columns.
    """
    if found is None or identification is None:
        return Message("headline.no-number")
    open_ones = [entry for entry in identification.assumptions if entry.status == "untested" and entry.caps]
    contradicted = [entry.name for entry in identification.assumptions if entry.status == "contradicted"]
    outcome, treatment = of(found.outcome or "y"), of(found.treatment or "")
    if contrast is not None:
        treatment = Message("headline.levels", treatment=treatment, levels=contrast)
    size, amount = _size(found, alpha), treatment if continuous else None
    if contradicted:
        said = Message("headline.contradicted", outcome=outcome, size=size, assumptions=contradicted)
        return _with_columns(said, differ, amount)
    if failing:
        said = Message("headline.gates-fail", outcome=outcome, size=size, gates=list(failing))
        return _with_columns(said, differ, amount)
    if identification.design == "comparison" and any(entry.name == "unconfounded" for entry in open_ones):
        said = _association(found, outcome, treatment, size, continuous=continuous)
    elif open_ones and _is_shown(found):
        names = [entry.name for entry in open_ones]
        said = Message("headline.effect-if", outcome=outcome, size=size, assumptions=names)
    else:
        said = _effect(found, outcome, treatment, size, continuous=continuous)
    said = _with_columns(said, differ, amount)
    return Message("headline.findings", sentence=said, findings=list(findings)) if findings else said


def _with_columns(said: Message, differ: Sequence[str], amount: Message | None) -> Message:
    """Return the sentence with the columns by which the arms differ, or that go with the amount of a treatment."""
    if not differ:
        return said
    first, more = list(differ[:_MOST_COLUMNS]), len(differ) - _MOST_COLUMNS
    if amount is not None and more > 0:
        return Message("headline.amount-related-and-more", sentence=said, treatment=amount, columns=first, more=more)
    if amount is not None:
        return Message("headline.amount-related", sentence=said, treatment=amount, columns=first)
    if more > 0:
        return Message("headline.arms-differ-and-more", sentence=said, columns=first, more=more)
    return Message("headline.arms-differ", sentence=said, columns=first)


def _is_shown(found: Effect) -> bool:
    return found.lower is not None and found.upper is not None and (found.lower > 0 or found.upper < 0)


def _association(found: Effect, outcome: Message, treatment: Message, size: Message, *, continuous: bool) -> Message:
    if not _is_shown(found):
        return Message("headline.no-association", outcome=outcome, treatment=treatment, size=size)
    if continuous:
        return Message("headline.association-per-unit", outcome=outcome, treatment=treatment, size=size)
    if found.estimate > 0:
        return Message("headline.association-higher", outcome=outcome, treatment=treatment, size=size)
    return Message("headline.association-lower", outcome=outcome, treatment=treatment, size=size)


def _effect(found: Effect, outcome: Message, treatment: Message, size: Message, *, continuous: bool) -> Message:
    if not _is_shown(found):
        return Message("headline.no-effect", outcome=outcome, size=size)
    if continuous:
        return Message("headline.effect-per-unit", outcome=outcome, treatment=treatment, size=size)
    if found.estimate > 0:
        return Message("headline.raised", outcome=outcome, size=size)
    return Message("headline.lowered", outcome=outcome, size=size)


def _size(found: Effect, alpha: float) -> Message:
    level = 100 * (1 - alpha)
    ends = [Message("verdict.unbounded") if end is None else Message("verdict.bound", value=end)
            for end in (found.lower, found.upper)]  # fmt: skip
    if found.relative is None:
        return Message("headline.size", estimate=found.estimate, level=level, lower=ends[0], upper=ends[1])
    return Message(
        "headline.size-and-lift", estimate=found.estimate, lift=100 * found.relative, level=level, lower=ends[0],
        upper=ends[1],
    )  # fmt: skip
