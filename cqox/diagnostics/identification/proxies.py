"""Assumptions of proximal estimates: proxies that are relevant and excluded."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import number_in

__all__ = ["LEVEL", "WEAK_F", "proxy_assumptions"]

WEAK_F, LEVEL = 10.0, 0.01


def proxy_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a proximal estimate."""
    return (_proxy_relevance(judged), _proxy_exclusion(judged))


def _proxy_relevance(judged: Judged) -> Assumption:
    name = "proxy_relevance"
    return assumption(
        name, Message("identification.proxy-relevance"), _strength(judged), declared=False,
        remedy=Message("identification.proxy-relevance-remedy"),
    )  # fmt: skip


def _proxy_exclusion(judged: Judged) -> Assumption:
    name = "proxy_exclusion"
    return assumption(
        name, Message("identification.proxy-exclusion"), _surplus(judged), declared=judged.declares(name),
        remedy=Message("identification.proxy-exclusion-remedy"),
    )  # fmt: skip


def _strength(judged: Judged) -> Evidence:
    diagnostics = judged.chosen.diagnostics
    found = number_in(diagnostics.get("effective_f"))
    if found is None:
        # Several proxies of the outcome have the statistic of Cragg and Donald alone.
        found = number_in(diagnostics.get("first_stage_f"))
    if found is None:
        return NO_EVIDENCE
    return Evidence(sentences=(Message("identification.proxy-f", f_statistic=found),), supports=found >= WEAK_F)


def _surplus(judged: Judged) -> Evidence:
    p_value = number_in(judged.chosen.diagnostics.get("hansen_j_p_value"))
    if p_value is None:
        return NO_EVIDENCE
    return Evidence(
        sentences=(Message("identification.overidentification", p_value=p_value),), contradicts=p_value < LEVEL
    )
