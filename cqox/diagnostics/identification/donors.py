"""Assumptions of synthetic controls: donors that match, and no event of the treated units alone."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.donor_fit import MISFIT, MISFIT_FAILS
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in, table_in

__all__ = ["FEWEST_DONORS", "SUPPORTS", "donor_assumptions"]

SUPPORTS = 0.05
FEWEST_DONORS = 19
"""Donors from which the smallest p-value of a rank among them is .05."""


def donor_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a synthetic control."""
    return (_donor_match(judged), _no_concurrent_event(judged))


def _donor_match(judged: Judged) -> Assumption:
    name = "donor_match"
    return assumption(
        name, Message("identification.donor-match"), _match(judged), declared=judged.declares(name),
        remedy=Message("identification.donor-match-remedy"),
    )  # fmt: skip


def _match(judged: Judged) -> Evidence:
    """Return the fit before treatment and the placebo tests in space and in time."""
    table = table_in(judged.diagnostics, "donor_fit", judged.chosen.name)
    misfit, donors = number_in(table.get("misfit")), number_in(table.get("donors"))
    if misfit is None or donors is None:
        return NO_EVIDENCE
    sentences = [Message("identification.donor-fit", misfit=misfit, most=MISFIT, fails=MISFIT_FAILS)]
    in_space, placebos = number_in(table.get("p_value_in_space")), number_in(table.get("placebos"))
    unmet = [] if misfit <= MISFIT else [Message("identification.needs-fit", misfit=misfit, needed=MISFIT)]
    if in_space is not None and placebos is not None:
        smallest = 1 / (1 + placebos)
        if in_space > smallest * (1 + 1e-9):
            unmet.append(Message("identification.needs-extreme-placebo", p_value=in_space, needed=smallest))
        sentences.append(
            Message("identification.placebo-in-space", p_value=in_space, donors=int(donors), smallest=smallest)
        )
    else:
        unmet.append(Message("identification.needs-placebo-in-space"))
    if donors < FEWEST_DONORS:
        unmet.append(Message("identification.needs-donors", donors=int(donors), needed=FEWEST_DONORS))
    in_time = number_in(table.get("p_value_in_time"))
    if in_time is not None:
        sentences.append(Message("identification.placebo-date", p_value=in_time))
    if in_time is None:
        unmet.append(Message("identification.needs-placebo-start"))
    elif in_time < SUPPORTS:
        unmet.append(Message("identification.needs-quiet-start", p_value=in_time, needed=SUPPORTS))
    return Evidence(
        sentences=tuple(sentences), supports=not unmet, contradicts=misfit > MISFIT_FAILS, unmet=tuple(unmet)
    )


def _no_concurrent_event(judged: Judged) -> Assumption:
    name = "no_concurrent_event"
    return assumption(
        name, Message("identification.no-concurrent-event"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.donor-event-remedy"), caps=False,
    )  # fmt: skip
