"""Assumptions of the log of a policy: true propensities, and no context that the log lacks."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["policy_log_assumptions"]


def policy_log_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a policy's value estimated from a log."""
    return (_logged_propensities(judged), _no_unlogged_context(judged))


def _logged_propensities(judged: Judged) -> Assumption:
    name = "logged_propensities"
    return assumption(
        name, Message("identification.logged-propensities"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.logged-propensities-remedy"),
    )  # fmt: skip


def _no_unlogged_context(judged: Judged) -> Assumption:
    name = "no_unlogged_context"
    return assumption(
        name, Message("identification.no-unlogged-context"), NO_EVIDENCE,
        declared=judged.declares(name) or judged.options.assignment == "randomized",
        remedy=Message("identification.no-unlogged-context-remedy"),
    )  # fmt: skip
