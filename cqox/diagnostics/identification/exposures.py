"""Assumptions of effects under interference."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in, table_in

__all__ = ["CONTRADICTS", "SUPPORTS", "exposure_assumptions"]

SUPPORTS, CONTRADICTS = 0.05, 0.01


def exposure_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of an exposure mapping."""
    return (assigned(judged, "treatment"), _exposure_mapping(judged))


def _exposure_mapping(judged: Judged) -> Assumption:
    name = "exposure_mapping"
    return assumption(
        name, Message("identification.exposure-mapping"), _finer(judged), declared=judged.declares(name),
        remedy=Message("identification.exposure-mapping-remedy"),
    )  # fmt: skip


def _finer(judged: Judged) -> Evidence:
    p_value = number_in(table_in(judged.diagnostics, "finer_exposure").get("p_value"))
    if p_value is None:
        return NO_EVIDENCE
    sentence = Message("identification.finer-exposure", p_value=p_value)
    unmet = Message("identification.needs-no-finer-exposure", p_value=p_value, needed=SUPPORTS)
    return Evidence(
        sentences=(sentence,), supports=p_value >= SUPPORTS, contradicts=p_value < CONTRADICTS, unmet=(unmet,)
    )
