"""Assumptions of an effect transported to another population."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.arms import assigned
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["transport_assumptions"]


def transport_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a transported effect."""
    return (assigned(judged, "treatment"), _transportable(judged))


def _transportable(judged: Judged) -> Assumption:
    name = "transportable"
    return assumption(
        name, Message("identification.transportable"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.transportable-remedy"),
    )  # fmt: skip
