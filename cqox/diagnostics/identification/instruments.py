"""Assumptions of instruments: assignment, relevance, exclusion and monotonicity."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import Table, number_in, table_in

__all__ = ["LEVEL", "WEAK_F", "exclusion", "instrument_assumptions", "monotonicity", "relevance"]

WEAK_F = 10.0
"""Effective F (Montiel Olea and Pflueger 2013, doi 10.1080/00401706.2013.806694) from which instruments count."""

LEVEL = 0.01


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
    sentences = [Message("identification.effective-f", effective_f=effective_f)]
    unbounded = _is_unbounded(table_in(diagnostics, "anderson_rubin_robust"))
    if unbounded:
        sentences.append(Message("identification.unbounded-set"))
    return Evidence(sentences=tuple(sentences), supports=effective_f >= WEAK_F and not unbounded, contradicts=unbounded)


def _is_unbounded(found: Table) -> bool:
    pieces = found.get("intervals")
    ends = [end for piece in (pieces if isinstance(pieces, list) else []) if isinstance(piece, list) for end in piece]
    return any(end is None for end in ends)


def exclusion(judged: Judged) -> Assumption:
    """Return the entry on other paths from the instruments to the outcome."""
    name = "exclusion"
    return assumption(
        name, Message("identification.exclusion"), _overidentified(judged), declared=judged.declares(name),
        remedy=Message("identification.exclusion-remedy"),
    )  # fmt: skip


def _overidentified(judged: Judged) -> Evidence:
    p_value = number_in(table_in(judged.chosen.diagnostics, "hansen_j").get("p_value"))
    if p_value is None:
        return NO_EVIDENCE
    return Evidence(
        sentences=(Message("identification.overidentification", p_value=p_value),), contradicts=p_value < LEVEL
    )


def monotonicity(judged: Judged) -> Assumption:
    """Return the entry on units that do the opposite of what the instrument moves them to."""
    name = "monotonicity"
    return assumption(
        name, Message("identification.monotonicity"), _opposite(judged), declared=judged.declares(name),
        remedy=Message("identification.monotonicity-remedy"),
    )  # fmt: skip


def _opposite(judged: Judged) -> Evidence:
    found = table_in(judged.diagnostics, "first_stages")
    p_value, strata = number_in(found.get("p_value")), found.get("strata")
    if p_value is None or not isinstance(strata, list):
        return NO_EVIDENCE
    return Evidence(
        sentences=(Message("identification.opposite-first-stage", strata=len(strata), p_value=p_value),),
        contradicts=p_value < LEVEL,
    )
