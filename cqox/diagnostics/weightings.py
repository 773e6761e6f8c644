"""Weights of the computed estimates, their distribution and the effective sample sizes that they leave."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from cqox.diagnostics.json_values import number
from cqox.diagnostics.tables import Table, table_in
from cqox.estimators import Estimate, Json, Plan, Sample, Vector
from cqox.estimators.adjustment.stratification import stratum_weights
from cqox.estimators.adjustment.weighting import balanced_weights, balancing_weights
from cqox.estimators.matching.with_replacement import matching_weights
from cqox.estimators.numerics.array_store import drop_pages, empty

__all__ = ["REGRESSIONS", "Weighting", "effective_rows", "summarize_weights", "weighted_as", "weightings"]

_FAMILIES = ("weighting", "doubly_robust", "double_ml")
REGRESSIONS = ("dml_plr",)
"""Estimators of these families that do not weight rows."""

type _Target = Literal["ATE", "ATT", "ATC", "ATO"]
type _Weights = Callable[[Plan], tuple[Sample, Vector, Vector]]

_TARGETS: tuple[_Target, ...] = ("ATE", "ATT", "ATC", "ATO")
_OWN_WEIGHTS: dict[str, tuple[str, _Target, _Weights]] = {
    "psm_ate": ("ATE_psm", "ATE", partial(matching_weights, name="psm", target="ATE")),
    "psm_att": ("ATT_psm", "ATT", partial(matching_weights, name="psm", target="ATT")),
    "nn_mahalanobis_ate": ("ATE_nearest", "ATE", partial(matching_weights, name="nn_mahalanobis", target="ATE")),
    "nn_mahalanobis_att": ("ATT_nearest", "ATT", partial(matching_weights, name="nn_mahalanobis", target="ATT")),
    "propensity_strata": ("ATE_strata", "ATE", stratum_weights),
    "entropy_balancing_ate": ("ATE_entropy", "ATE", partial(balanced_weights, target="ATE")),
    "entropy_balancing_att": ("ATT_entropy", "ATT", partial(balanced_weights, target="ATT")),
}
"""Estimators whose weights do not come from a propensity score: name of the weighting, target, weights."""

_PER_DOUBLING, _FARTHEST = 4, 32
"""Bins per doubling of the weight, and bins on each side of the mean."""

_EDGES = np.exp2((np.arange(-_FARTHEST, _FARTHEST + 2) - 0.5) / _PER_DOUBLING)

_BLOCK = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """Weights that balance both arms to the covariates of one target population.

    Attributes:
        name: name in reports; the target if the weights come from a propensity score.
        target: population weighted to: all rows (ATE), the treated (ATT), the untreated (ATC), or the overlap
            population (ATO).
        used_by: names of the estimates that use the weights.
        sample: rows that are weighted.
        weights: (sample.n,) weight of each row within its arm, times its sampling weight.
    """

    name: str
    target: _Target
    used_by: tuple[str, ...]
    sample: Sample
    weights: Vector


def weightings(plan: Plan, estimates: Sequence[Estimate]) -> tuple[Weighting, ...]:
    """Return the weighting of each target population that computed estimates use, all on the same rows.

    Raises:
        UnusableData: there is no propensity score.
    """
    found = [weighting for target in _TARGETS if (weighting := _from_propensity(plan, estimates, target)) is not None]
    for estimate in estimates:
        if estimate.estimate is None or estimate.name not in _OWN_WEIGHTS:
            continue
        name, target, weights = _OWN_WEIGHTS[estimate.name]
        sample, both = _of_both_arms(weights, plan)
        if not found or sample is found[0].sample:
            found.append(Weighting(name=name, target=target, used_by=(estimate.name,), sample=sample, weights=both))
    return tuple(found)


def _of_both_arms(weights: _Weights, plan: Plan) -> tuple[Sample, Vector]:
    sample, treated, control = weights(plan)
    both = np.add(treated, control, out=empty(sample.n))
    drop_pages()
    return sample, both


def _from_propensity(plan: Plan, estimates: Sequence[Estimate], target: _Target) -> Weighting | None:
    used_by = tuple(
        estimate.name
        for estimate in estimates
        if estimate.estimate is not None
        and estimate.family in _FAMILIES
        and estimate.name not in REGRESSIONS
        and estimate.name not in _OWN_WEIGHTS
        and estimate.estimand == target
    )
    if not used_by:
        return None
    propensity = plan.propensity()
    sample = propensity.sample
    t, e, sampling = plan.treated(sample), propensity.used, plan.weights(sample)
    weights = empty(sample.n)
    for start in range(0, sample.n, _BLOCK):
        s = slice(start, start + _BLOCK)
        treated, control, _ = balancing_weights(target, t[s], e[s])
        np.add(treated, control, out=weights[s])
        if sampling is not None:
            weights[s] *= sampling[s]
    drop_pages()
    return Weighting(name=target, target=target, used_by=used_by, sample=sample, weights=weights)


def weighted_as(diagnostics: Table, chosen: Estimate) -> str:
    """Return the name of the weighting of an estimate; that of its estimand if it does not weight.

    Args:
        diagnostics: with what `effective_rows` returned under this name.
        chosen: the estimate.
    """
    for name in table_in(diagnostics, "effective_rows"):
        used_by = table_in(diagnostics, "effective_rows", name).get("used_by")
        if isinstance(used_by, list) and chosen.name in used_by:
            return name
    return chosen.estimand


def effective_rows(plan: Plan, found: Sequence[Weighting]) -> dict[str, Json]:
    """Return Kish's effective sample size (Σw)²/Σw² of each arm under each weighting, and the smaller share of rows."""
    result: dict[str, Json] = {}
    for weighting in found:
        arms: dict[str, Json] = {"used_by": list(weighting.used_by)}
        shares = []
        for name, weights in _by_arm(plan, weighting):
            effective = float(weights.sum() ** 2 / (weights @ weights))
            arms[name] = number(effective)
            arms[f"{name}_rows"] = len(weights)
            arms[f"{name}_share"] = number(effective / len(weights))
            shares.append(effective / len(weights))
        arms["smallest_share"] = number(min(shares))
        result[weighting.name] = arms
        drop_pages()
    return result


def summarize_weights(plan: Plan, found: Sequence[Weighting]) -> dict[str, Json]:
    """Summarise the distribution of the weights of each arm, scaled to mean 1 within the arm."""
    result: dict[str, Json] = {}
    for weighting in found:
        result[weighting.name] = {name: _summary(weights) for name, weights in _by_arm(plan, weighting)}
        drop_pages()
    return result


def _by_arm(plan: Plan, weighting: Weighting) -> Iterator[tuple[str, Vector]]:
    """Yield the name of each arm and the weights of its rows."""
    treated = plan.treated(weighting.sample) > 0
    yield "treated", weighting.weights[np.flatnonzero(treated)]
    yield "control", weighting.weights[np.flatnonzero(~treated)]


def _summary(weights: Vector) -> dict[str, Json]:
    scaled = weights / weights.mean()
    variation = scaled.std()
    scaled.sort()
    return {
        "median": number(_quantile(scaled, 0.5)),
        "percentile_99": number(_quantile(scaled, 0.99)),
        "maximum": number(scaled[-1]),
        "coefficient_of_variation": number(variation),
        "largest_share": number(scaled[-1] / len(scaled)),
        "unused_share": number(np.searchsorted(scaled, 0.0, side="right") / len(scaled)),
        "bins": _bins(scaled),
    }


def _quantile(ordered: Vector, share: float) -> float:
    """Return a quantile of ascending values, interpolated linearly."""
    place = share * (len(ordered) - 1)
    lower = int(place)
    low, high = float(ordered[lower]), float(ordered[min(lower + 1, len(ordered) - 1)])
    return low + (high - low) * (place - lower)


def _bins(ordered: Vector) -> list[Json]:
    """Return the share of rows per quarter of a doubling of the weight; the first and the last bin are open-ended.

    Args:
        ordered: (n,) weights of mean 1, ascending.
    """
    positions = np.searchsorted(ordered, np.concatenate([[0.0], _EDGES[1:-1]]), side="right")
    counts = np.diff(positions, append=len(ordered))
    return [
        {"lower": float(_EDGES[each]), "upper": float(_EDGES[each + 1]), "share": float(counts[each] / len(ordered))}
        for each in np.flatnonzero(counts).tolist()
    ]
