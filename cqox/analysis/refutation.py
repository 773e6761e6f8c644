"""The gate on attempts to refute the primary estimate, for a request that asked for them; without, there is no gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, Table, number_in, skip, table_in, text_or
from cqox.estimators import Estimate

__all__ = ["refutation_gate"]

_RULE = (
    "No refuter that was asked for contradicts the primary: treatments shuffled among the rows rarely give an effect "
    "as large, an outcome of noise gives none on average, and a covariate of noise or 80% of the rows give estimates "
    "that it lies among (which takes 39 replications to deny). The number of those that contradict it, or gave no "
    "number, is at most 0; fails where one is off by more than the primary's standard error, or where an interval that "
    "excludes no effect is around one within a standard deviation of what shuffled treatments give."
)
_REFUTERS: Mapping[str, str] = {
    "placebo_treatment": "with the treatment shuffled among the rows, {share:.0%} of the effects are as large as {of}",
    "dummy_outcome": "with noise for an outcome the effect is {mean:.4g} on average and not 0",
    "random_common_cause": "beside a covariate of noise the effect is {mean:.4g} on average where it was {of}",
    "data_subset": "on 80% of the rows the effect is {mean:.4g} on average where it was {of}",
}
"""What each refuter that contradicts an estimate has found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A refuter that does not leave the estimate standing, why, and whether the number should not be acted on."""

    words: str
    grave: bool


def refutation_gate(diagnostics: Table, chosen: Estimate | None, *, replications: int) -> Gate | None:
    """Whether the primary estimate stands where attempts to refute it were asked for; None where they were not.

    Args:
        diagnostics: from `cqox.diagnostics.diagnose`, which holds what became of the attempts.
        chosen: the primary estimate, None where there is none.
        replications: `options.refute`.
    """
    if not replications:
        return None
    if chosen is None or chosen.estimate is None:
        return skip(_RULE, NO_PRIMARY)
    if replications == 1:
        return skip(_RULE, "One replication tells of no distribution; set options.refute to 100, say.")
    found = table_in(diagnostics, "refutations")
    tried = [name for name in _REFUTERS if table_in(found, name)]
    if not tried:
        return skip(_RULE, text_or(found.get("reason"), "No refuter was tried."))
    doubts = [doubt for name in tried if (doubt := _doubt(name, table_in(found, name), chosen, chosen.estimate))]
    value, threshold = float(len(doubts)), 0.0
    if not doubts:
        return Gate(status="pass", value=value, threshold=threshold, rule=_RULE)
    grave = any(doubt.grave for doubt in doubts)
    return Gate(
        status="fail" if grave else "warn", value=value, threshold=threshold, rule=_RULE, reason=_told(chosen, doubts)
    )


def _doubt(name: str, found: Table, chosen: Estimate, estimate: float) -> _Doubt | None:
    stands = found.get("stands")
    if stands is True:
        return None
    if stands is None:
        why = text_or(found.get("reason"), "The estimator gave no number on the changed data.")
        return _Doubt(words=f"{name} could not be tried ({why.rstrip('.: ')})", grave=False)
    mean, share = number_in(found.get("mean")) or 0.0, number_in(found.get("p_value")) or 0.0
    words = f"{name}: {_REFUTERS[name].format(share=share, mean=mean, of=f'{estimate:.4g}')}"
    return _Doubt(words=words, grave=_is_grave(name, found, mean, chosen, estimate))


def _is_grave(name: str, found: Table, mean: float, chosen: Estimate, estimate: float) -> bool:
    if name == "placebo_treatment":
        spread = number_in(found.get("sd"))
        return spread is not None and abs(estimate) < spread and _excludes_none(chosen)
    expected = 0.0 if name == "dummy_outcome" else estimate
    return chosen.standard_error is not None and abs(mean - expected) > chosen.standard_error


def _excludes_none(chosen: Estimate) -> bool:
    lower, upper = chosen.ci_lower, chosen.ci_upper
    return (lower is not None and lower > 0) or (upper is not None and upper < 0)


def _told(chosen: Estimate, doubts: Sequence[_Doubt]) -> str:
    """The doubts in one sentence, the grave ones first."""
    ordered = sorted(doubts, key=lambda doubt: not doubt.grave)
    return f"{chosen.name} is not borne out by {'; '.join(doubt.words for doubt in ordered)}."
