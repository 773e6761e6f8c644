"""Assumptions on who is treated and who is observed: the assignment, interference, missing outcomes, dependence."""

from typing import Literal

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["assigned", "complete_outcomes", "independent_units", "no_interference"]


def assigned(judged: Judged, variable: Literal["treatment", "instrument"]) -> Assumption:
    """Return the entry on the assignment of the treatment, or of the instrument.

    Args:
        judged: what the ledger is written from.
        variable: the role that is assigned in the design.
    """
    declared = judged.options.assignment
    column = ", ".join(judged.plan.data.names.get(variable, (variable,)))
    if declared == "randomized":
        return assumption(
            "randomized", Message("identification.randomized", variable=column), NO_EVIDENCE, declared=True,
            remedy=Message("identification.randomized-remedy"),
        )  # fmt: skip
    return assumption(
        "unconfounded", Message("identification.unconfounded", variable=column), NO_EVIDENCE,
        declared=declared == "unconfounded", remedy=Message("identification.unconfounded-remedy"),
    )  # fmt: skip


def no_interference(judged: Judged) -> Assumption:
    """Return the entry on spillovers between units."""
    name = "no_interference"
    return assumption(
        name, Message("identification.no-interference"), NO_EVIDENCE, declared=judged.declares(name), caps=False,
        remedy=Message("identification.no-interference-remedy"),
    )  # fmt: skip


def complete_outcomes(judged: Judged) -> Assumption:
    """Return the entry on rows without an outcome."""
    name = "complete_outcomes"
    return assumption(
        name, Message("identification.complete-outcomes"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.complete-outcomes-remedy"), caps=False,
    )  # fmt: skip


def independent_units(judged: Judged) -> Assumption:
    """Return the entry on rows that are not independent of each other."""
    name = "independent_units"
    return assumption(
        name, Message("identification.independent-units"), NO_EVIDENCE, declared=judged.declares(name), caps=False,
        remedy=Message("identification.independent-units-remedy"),
    )  # fmt: skip
