"""Assumptions of a discontinuity: no manipulation, continuity, and those of an instrument where it is fuzzy."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption
from cqox.diagnostics.identification.instruments import exclusion, monotonicity, relevance

__all__ = ["cutoff_assumptions"]


def cutoff_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a sharp or a fuzzy cutoff."""
    entries = (_no_manipulation(judged), _continuity(judged))
    if judged.chosen.name != "rd_fuzzy":
        return entries
    return (*entries, relevance(judged), exclusion(judged), monotonicity(judged))


def _no_manipulation(judged: Judged) -> Assumption:
    name = "no_manipulation"
    return assumption(
        name, Message("identification.no-manipulation"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.no-manipulation-remedy"),
    )  # fmt: skip


def _continuity(judged: Judged) -> Assumption:
    name = "continuity"
    return assumption(
        name, Message("identification.continuity"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.continuity-remedy"),
    )  # fmt: skip
