"""Assumptions of synthetic controls: donors that match, and no event of the treated units alone."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["donor_assumptions"]


def donor_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a synthetic control."""
    return (_donor_match(judged), _no_concurrent_event(judged))


def _donor_match(judged: Judged) -> Assumption:
    name = "donor_match"
    return assumption(
        name, Message("identification.donor-match"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.donor-match-remedy"),
    )  # fmt: skip


def _no_concurrent_event(judged: Judged) -> Assumption:
    name = "no_concurrent_event"
    return assumption(
        name, Message("identification.no-concurrent-event"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.no-concurrent-event-remedy"), caps=False,
    )  # fmt: skip
