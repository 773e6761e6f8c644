"""Definitions of verdicts, gates, assumptions and data findings, with thresholds and sources.

The rules of the gates are the sentences that reports give, so that a threshold is written in one place.
"""

from collections.abc import Mapping
from typing import Literal

from cqox.contract import Definition
from cqox.contract.messages import Message
from cqox.diagnostics.gates import gates
from cqox.diagnostics.identification.designs import DESIGNS
from cqox.diagnostics.identification.rules import RULES
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.sources import OF_ASSUMPTIONS, OF_GATES, Source

__all__ = ["definitions"]


def definitions() -> tuple[Definition, ...]:
    """Return verdicts, gates in the order of reports, assumptions, the statuses of these, and data findings."""
    nothing = Primary(name=None, rule=Message("verdict.nothing-applies"))
    rules = {name: gate.rule for name, gate in gates({}, [], nothing).items()}
    return (
        *_words("verdict", _VERDICTS),
        *(
            Definition(kind="gate", name=name, meaning=rule, rule=None, designs=(), source=_cited(OF_GATES.get(name)))
            for name, rule in (*rules.items(), ("refutation", Message("gates.refutation-rule")))
        ),
        *(
            Definition(
                kind="assumption",
                name=name,
                meaning=meaning,
                rule=RULES[name],
                source=_cited(OF_ASSUMPTIONS.get(name)),
                designs=tuple(design.name for design in DESIGNS.values() if name in design.declarable),
            )
            for name, meaning in _ASSUMPTIONS.items()
        ),
        *_words("status", _STATUSES),
        *_words("finding", _FINDINGS),
    )


def _words(kind: Literal["verdict", "status", "finding"], meanings: Mapping[str, Message]) -> list[Definition]:
    return [
        Definition(kind=kind, name=name, meaning=meaning, rule=None, designs=(), source=None)
        for name, meaning in meanings.items()
    ]


def _cited(sources: tuple[Source, ...] | None) -> str | None:
    return None if sources is None else "; ".join(map(str, sources))


_VERDICTS: Mapping[str, Message] = {
    "GO": Message("definitions.go"),
    "CANARY": Message("definitions.canary"),
    "HOLD": Message("definitions.hold"),
}

_STATUSES: Mapping[str, Message] = {
    "supported": Message("definitions.supported"),
    "declared": Message("definitions.declared"),
    "untested": Message("definitions.untested"),
    "contradicted": Message("definitions.contradicted"),
}

_VARIABLE = Message("definitions.assigned-variable")

_ASSUMPTIONS: Mapping[str, Message] = {
    "randomized": Message("identification.randomized", variable=_VARIABLE),
    "unconfounded": Message("identification.unconfounded", variable=_VARIABLE),
    "no_interference": Message("identification.no-interference"),
    "complete_outcomes": Message("identification.complete-outcomes"),
    "independent_units": Message("identification.independent-units"),
    "relevance": Message("identification.relevance"),
    "exclusion": Message("identification.exclusion"),
    "monotonicity": Message("identification.monotonicity"),
    "no_manipulation": Message("identification.no-manipulation"),
    "continuity": Message("identification.continuity"),
    "parallel_trends": Message("identification.parallel-trends"),
    "no_anticipation": Message("identification.no-anticipation"),
    "no_feedback": Message("identification.no-feedback"),
    "donor_match": Message("identification.donor-match"),
    "no_concurrent_event": Message("identification.no-concurrent-event"),
    "stable_trend": Message("identification.stable-trend"),
    "logged_propensities": Message("identification.logged-propensities"),
    "no_unlogged_context": Message("identification.no-unlogged-context"),
    "transportable": Message("identification.transportable"),
    "sequential_ignorability": Message("identification.sequential-ignorability"),
    "proxy_relevance": Message("identification.proxy-relevance"),
    "proxy_exclusion": Message("identification.proxy-exclusion"),
    "exposure_mapping": Message("identification.exposure-mapping"),
}

_FINDINGS: Mapping[str, Message] = {
    "header-row": Message("definitions.header-row"),
    "header-rows": Message("definitions.header-rows"),
    "totals-rows": Message("definitions.totals-rows"),
    "sum-rows": Message("definitions.sum-rows"),
    "duplicate-rows": Message("definitions.duplicate-rows"),
    "merged-cells": Message("definitions.merged-cells"),
    "wide-panel": Message("definitions.wide-panel"),
    "ordered-periods": Message("definitions.ordered-periods"),
    "ambiguous-periods": Message("definitions.ambiguous-periods"),
    "mixed-dates": Message("definitions.mixed-dates"),
    "yes-or-blank": Message("definitions.yes-or-blank"),
    "mostly-empty-covariate": Message("definitions.mostly-empty-covariate"),
    "outcome-as-covariate": Message("definitions.outcome-as-covariate"),
    "arms-differ": Message("definitions.arms-differ"),
    "jumps-at-cutoff": Message("definitions.jumps-at-cutoff"),
    "unmapped-cluster": Message("definitions.unmapped-cluster"),
}
