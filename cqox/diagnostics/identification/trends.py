"""Assumptions of comparisons over time: parallel trends, no anticipation, no feedback."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["switching_assumptions", "trend_assumptions"]


def trend_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a design in which treatment stays once it has started."""
    return (_parallel_trends(judged), _no_anticipation(judged))


def switching_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a design in which treatment goes on and off."""
    return (_parallel_trends(judged), _no_feedback(judged))


def _parallel_trends(judged: Judged) -> Assumption:
    name = "parallel_trends"
    return assumption(
        name, Message("identification.parallel-trends"), NO_EVIDENCE,
        declared=judged.declares(name) or judged.options.assignment == "randomized",
        remedy=Message("identification.parallel-trends-remedy"),
    )  # fmt: skip


def _no_anticipation(judged: Judged) -> Assumption:
    name = "no_anticipation"
    return assumption(
        name, Message("identification.no-anticipation"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.no-anticipation-remedy"),
    )  # fmt: skip


def _no_feedback(judged: Judged) -> Assumption:
    name = "no_feedback"
    return assumption(
        name, Message("identification.no-feedback"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.no-feedback-remedy"),
    )  # fmt: skip
