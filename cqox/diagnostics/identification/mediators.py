"""Assumptions of mediated effects."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in, table_in

__all__ = ["mediation_assumptions"]


def mediation_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a mediated effect."""
    return (assigned(judged, "treatment"), _sequential_ignorability(judged))


def _sequential_ignorability(judged: Judged) -> Assumption:
    name = "sequential_ignorability"
    return assumption(
        name, Message("identification.sequential-ignorability"), _correlation(judged), declared=judged.declares(name),
        remedy=Message("identification.sequential-ignorability-remedy"),
    )  # fmt: skip


def _correlation(judged: Judged) -> Evidence:
    """Return the correlation of the errors at which the mediated effect is zero: a number that no test can bound."""
    tables = [table_in(each.diagnostics, "sensitivity") for each in (judged.chosen, *judged.estimates)]
    rho = next((value for table in tables if (value := number_in(table.get("rho_at_zero"))) is not None), None)
    return NO_EVIDENCE if rho is None else Evidence(sentences=(Message("identification.rho-at-zero", rho=rho),))
