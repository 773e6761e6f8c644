"""Assumptions of proximal estimates: proxies that are relevant and excluded."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Judged, assumption

__all__ = ["proxy_assumptions"]


def proxy_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of a proximal estimate."""
    return (_proxy_relevance(judged), _proxy_exclusion(judged))


def _proxy_relevance(judged: Judged) -> Assumption:
    name = "proxy_relevance"
    return assumption(
        name, Message("identification.proxy-relevance"), NO_EVIDENCE, declared=False,
        remedy=Message("identification.proxy-relevance-remedy"),
    )  # fmt: skip


def _proxy_exclusion(judged: Judged) -> Assumption:
    name = "proxy_exclusion"
    return assumption(
        name, Message("identification.proxy-exclusion"), NO_EVIDENCE, declared=judged.declares(name),
        remedy=Message("identification.proxy-exclusion-remedy"),
    )  # fmt: skip
