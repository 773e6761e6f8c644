"""Assumptions of the log of a policy: true propensities, and no context that the log lacks."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in, table_in
from cqox.estimators.numerics.detection import detectable_ratio

__all__ = ["CONTRADICTS", "MATTERS", "SUPPORTS", "policy_log_assumptions"]

SUPPORTS, CONTRADICTS = 0.05, 0.001
MATTERS = 0.2
"""A departure of the mean weight from 1 that has to be detectable: the value would be wrong by this share."""


def policy_log_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a policy's value estimated from a log."""
    return (_logged_propensities(judged), _no_unlogged_context(judged))


def _logged_propensities(judged: Judged) -> Assumption:
    name = "logged_propensities"
    return assumption(
        name, Message("identification.logged-propensities"), _weights(judged), declared=judged.declares(name),
        remedy=Message("identification.logged-propensities-remedy"),
    )  # fmt: skip


def _weights(judged: Judged) -> Evidence:
    found = table_in(judged.diagnostics, "logged_propensities")
    p_value, error = number_in(found.get("p_value")), number_in(found.get("mean_weight_standard_error"))
    if p_value is None:
        return NO_EVIDENCE
    detectable = None if error is None else detectable_ratio(SUPPORTS, None) * error
    sentences = [Message("identification.importance-weights", tests=found.get("tests"), p_value=p_value)]
    if detectable is not None:
        sentences.append(Message("identification.detectable-weight", detectable=detectable))
    unmet = []
    if p_value < SUPPORTS:
        unmet.append(Message("identification.needs-mean-weight", p_value=p_value, needed=SUPPORTS))
    if detectable is None or detectable > MATTERS:
        unmet.append(Message("identification.needs-detectable-weight", needed=MATTERS))
    return Evidence(
        sentences=tuple(sentences), supports=not unmet, contradicts=p_value < CONTRADICTS, unmet=tuple(unmet)
    )


def _no_unlogged_context(judged: Judged) -> Assumption:
    name = "no_unlogged_context"
    return assumption(
        name, Message("identification.no-unlogged-context"), NO_EVIDENCE,
        declared=judged.declares(name) or judged.options.assignment == "randomized",
        remedy=Message("identification.no-unlogged-context-remedy"),
    )  # fmt: skip
