"""Gate on the refutations of the primary estimate; present only if the request asked for refutations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics.tables import NO_PRIMARY, Table, number_in, reason_or, skip, table_in
from cqox.estimators import Estimate

__all__ = ["refutation_gate"]

_RULE = Message("gates.refutation-rule")
_REFUTERS: Mapping[str, Callable[[float, float, float], Message]] = {
    "placebo_treatment": lambda share, _, estimate: Message("gates.placebo-effects", share=share, estimate=estimate),
    "dummy_outcome": lambda _, mean, __: Message("gates.effect-on-random-outcome", mean=mean),
    "random_common_cause": lambda _, mean, estimate: Message(
        "gates.effect-with-random-covariate", mean=mean, estimate=estimate
    ),
    "data_subset": lambda _, mean, estimate: Message("gates.effect-on-subset", mean=mean, estimate=estimate),
}
"""Sentence on a refuter that contradicts the estimate, from its p-value, its mean effect and the estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A refuter that contradicts the estimate: the reason, and whether the gate fails."""

    words: Message
    grave: bool


def refutation_gate(diagnostics: Table, chosen: Estimate | None, *, replications: int) -> Gate | None:
    """Return the gate on the refutations of the primary estimate; None if none were requested.

    Args:
        diagnostics: from `cqox.diagnostics.diagnose`, which contains the refutations.
        chosen: the primary estimate, None if there is none.
        replications: `options.refute`.
    """
    if not replications:
        return None
    if chosen is None or chosen.estimate is None:
        return skip(_RULE, NO_PRIMARY)
    if replications == 1:
        return skip(_RULE, Message("gates.one-replication"))
    found = table_in(diagnostics, "refutations")
    tried = [name for name in _REFUTERS if table_in(found, name)]
    if not tried:
        return skip(_RULE, reason_or(found.get("reason"), Message("gates.no-refuter")))
    doubts = [doubt for name in tried if (doubt := _doubt(name, table_in(found, name), chosen, chosen.estimate))]
    value, threshold = float(len(doubts)), 0.0
    if not doubts:
        return Gate(status="pass", value=value, threshold=threshold, rule=_RULE)
    grave = any(doubt.grave for doubt in doubts)
    return Gate(
        status="fail" if grave else "warn", value=value, threshold=threshold, rule=_RULE, reason=_reason(chosen, doubts)
    )


def _doubt(name: str, found: Table, chosen: Estimate, estimate: float) -> _Doubt | None:
    stands = found.get("stands")
    if stands is True:
        return None
    if stands is None:
        why = reason_or(found.get("reason"), Message("gates.no-number-on-changed-data"))
        return _Doubt(words=Message("gates.refuter-not-run", refuter=name, reason=why), grave=False)
    mean, share = number_in(found.get("mean")) or 0.0, number_in(found.get("p_value")) or 0.0
    return _Doubt(words=_REFUTERS[name](share, mean, estimate), grave=_is_grave(name, found, mean, chosen, estimate))


def _is_grave(name: str, found: Table, mean: float, chosen: Estimate, estimate: float) -> bool:
    if name == "placebo_treatment":
        spread = number_in(found.get("sd"))
        return spread is not None and abs(estimate) < spread and _excludes_zero(chosen)
    expected = 0.0 if name == "dummy_outcome" else estimate
    return chosen.standard_error is not None and abs(mean - expected) > chosen.standard_error


def _excludes_zero(chosen: Estimate) -> bool:
    lower, upper = chosen.ci_lower, chosen.ci_upper
    return (lower is not None and lower > 0) or (upper is not None and upper < 0)


def _reason(chosen: Estimate, doubts: Sequence[_Doubt]) -> Message:
    """Join the doubts into one sentence, the grave ones first."""
    ordered = sorted(doubts, key=lambda doubt: not doubt.grave)
    return Message("gates.contradicted", primary=chosen.name, doubts=[doubt.words for doubt in ordered])
