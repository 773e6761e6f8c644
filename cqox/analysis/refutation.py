"""Gate on the refutations of the primary estimate; present only if the request asked for refutations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, Table, number_in, skip, table_in, text_or
from cqox.estimators import Estimate

__all__ = ["refutation_gate"]

_RULE = (
    "No requested refuter contradicts the primary: treatments permuted among the rows rarely give an effect as large, "
    "a random outcome gives none on average, and a random covariate or 80% of the rows give estimates "
    "around it (which takes 39 replications to reject). The number of those that contradict it, or gave no "
    "number, is at most 0; fails if one differs by more than the primary's standard error, or if its interval "
    "excludes zero although the effect is less than one standard deviation of the effects of permuted treatments."
)
_REFUTERS: Mapping[str, str] = {
    "placebo_treatment": "with the treatment permuted among the rows, {share:.0%} of the effects are as large as {of}",
    "dummy_outcome": "with a random outcome the mean effect is {mean:.4g} and not 0",
    "random_common_cause": "with an added random covariate the mean effect is {mean:.4g} instead of {of}",
    "data_subset": "on 80% of the rows the mean effect is {mean:.4g} instead of {of}",
}
"""Message template of each refuter that contradicts an estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A refuter that contradicts the estimate: the reason, and whether the gate fails."""

    words: str
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
        return skip(_RULE, "One replication gives no distribution; set options.refute to 100, for example.")
    found = table_in(diagnostics, "refutations")
    tried = [name for name in _REFUTERS if table_in(found, name)]
    if not tried:
        return skip(_RULE, text_or(found.get("reason"), "No refuter was run."))
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
        why = text_or(found.get("reason"), "The estimator gave no number on the changed data.")
        return _Doubt(words=f"{name} could not be run ({why.rstrip('.: ')})", grave=False)
    mean, share = number_in(found.get("mean")) or 0.0, number_in(found.get("p_value")) or 0.0
    words = f"{name}: {_REFUTERS[name].format(share=share, mean=mean, of=f'{estimate:.4g}')}"
    return _Doubt(words=words, grave=_is_grave(name, found, mean, chosen, estimate))


def _is_grave(name: str, found: Table, mean: float, chosen: Estimate, estimate: float) -> bool:
    if name == "placebo_treatment":
        spread = number_in(found.get("sd"))
        return spread is not None and abs(estimate) < spread and _excludes_zero(chosen)
    expected = 0.0 if name == "dummy_outcome" else estimate
    return chosen.standard_error is not None and abs(mean - expected) > chosen.standard_error


def _excludes_zero(chosen: Estimate) -> bool:
    lower, upper = chosen.ci_lower, chosen.ci_upper
    return (lower is not None and lower > 0) or (upper is not None and upper < 0)


def _reason(chosen: Estimate, doubts: Sequence[_Doubt]) -> str:
    """Join the doubts into one sentence, the grave ones first."""
    ordered = sorted(doubts, key=lambda doubt: not doubt.grave)
    return f"{chosen.name} is contradicted by {'; '.join(doubt.words for doubt in ordered)}."
