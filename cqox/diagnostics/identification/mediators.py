"""Assumptions of mediated effects."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["mediation_assumptions"]


def mediation_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a mediated effect."""
    return (assigned(judged, "treatment"), _sequential_ignorability(judged))


def _sequential_ignorability(judged: Judged) -> Assumption:
    name = "sequential_ignorability"
    return assumption(
        name, Message("identification.sequential-ignorability"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.sequential-ignorability-remedy"),
    )  # fmt: skip
