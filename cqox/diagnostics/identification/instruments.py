"""Assumptions of instruments: assignment, relevance, exclusion and monotonicity."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in

__all__ = ["exclusion", "instrument_assumptions", "monotonicity", "relevance"]

_WEAK_F = 10.0
"""Effective F (Montiel Olea and Pflueger 2013, doi 10.1080/00401706.2013.806694) from which instruments count."""


def instrument_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a design with instruments."""
    entries = (assigned(judged, "instrument"), relevance(judged), exclusion(judged))
    return (*entries, monotonicity(judged)) if judged.plan.data.treatment_kind == "binary" else entries


def relevance(judged: Judged) -> Assumption:
    """Return the entry on the strength of the instruments."""
    return assumption(
        "relevance", Message("identification.relevance"), _strength(judged), declared=False,
        remedy=Message("identification.relevance-remedy"),
    )  # fmt: skip


def _strength(judged: Judged) -> Evidence:
    diagnostics = judged.chosen.diagnostics
    effective_f = number_in(diagnostics.get("effective_f"))
    if effective_f is None:
        return NO_EVIDENCE
    return Evidence(
        sentences=(Message("identification.effective-f", effective_f=effective_f),), supports=effective_f >= _WEAK_F
    )


def exclusion(judged: Judged) -> Assumption:
    """Return the entry on other paths from the instruments to the outcome."""
    name = "exclusion"
    return assumption(
        name, Message("identification.exclusion"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.exclusion-remedy"),
    )  # fmt: skip


def monotonicity(judged: Judged) -> Assumption:
    """Return the entry on units that do the opposite of what the instrument moves them to."""
    name = "monotonicity"
    return assumption(
        name, Message("identification.monotonicity"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.monotonicity-remedy"),
    )  # fmt: skip
