"""Assumptions of effects under interference."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["exposure_assumptions"]


def exposure_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of an exposure mapping."""
    return (assigned(judged, "treatment"), _exposure_mapping(judged))


def _exposure_mapping(judged: Judged) -> Assumption:
    name = "exposure_mapping"
    return assumption(
        name, Message("identification.exposure-mapping"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.exposure-mapping-remedy"),
    )  # fmt: skip
