"""Assumptions of an interrupted series: no concurrent event, and a trend that would have gone on."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["series_assumptions"]


def series_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of an interrupted series."""
    return (_no_concurrent_event(judged), _stable_trend(judged))


def _no_concurrent_event(judged: Judged) -> Assumption:
    name = "no_concurrent_event"
    return assumption(
        name, Message("identification.no-concurrent-event"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.no-concurrent-event-remedy"),
    )  # fmt: skip


def _stable_trend(judged: Judged) -> Assumption:
    name = "stable_trend"
    return assumption(
        name, Message("identification.stable-trend"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.stable-trend-remedy"),
    )  # fmt: skip
