"""Attempts to refute the primary estimate: the whole estimator runs again on data in which the answer is known.

After Sharma and Kiciman 2020 (DoWhy, arXiv:2011.04216). What is drawn is keyed by what a row is, so that neither the
order of the rows nor the machine changes a number.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics.json_values import number
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.sensitivity import unconfounded
from cqox.errors import UnusableData
from cqox.estimators import Data, Estimate, Estimator, Json, Matrix, Plan, Vector, entries, run
from cqox.estimators.numerics.folds import keyed
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["refutations"]

_KEPT = 0.8
_DOUBTFUL = 0.05
type _Change = Callable[[Data, str], Data]


def refutations(
    plan: Plan, primary: Primary | None, estimates: Sequence[Estimate], replications: int
) -> dict[str, Json]:
    """What became of the primary estimate in data that should destroy it, or should leave it alone.

    Args:
        plan: the contrast's plan.
        primary: the estimate to attack.
        estimates: what was computed.
        replications: times that each change is made.

    Returns:
        `placebo_treatment` (treatment shuffled among the rows: how often an effect as large appears by chance),
        `dummy_outcome` (the outcome replaced by noise: the mean effect must not differ from 0), `random_common_cause`
        (one more covariate, of noise) and `data_subset` (80% of the rows): the estimate must lie among those computed
        again. Each with the distribution's mean and standard deviation, a p-value and whether the estimate stands.

    Raises:
        UnusableData: nothing was asked for, or the primary is not of a kind that these changes can be made for.
    """
    if not replications:
        raise UnusableData("Not asked for: set options.refute to a number of replications, such as 100.")
    name = None if primary is None else primary.name
    chosen = next((each for each in estimates if each.name == name), None)
    if chosen is None or chosen.estimate is None:
        raise UnusableData("There is no primary estimate to refute.")
    if not unconfounded(chosen):
        raise UnusableData(
            f"The primary, {chosen.name}, rests on its design; shuffling rows would destroy the design, not test it."
        )
    estimator = next(each for each in entries() if each.name == chosen.name)
    found: dict[str, Json] = {"of": chosen.name, "estimate": number(chosen.estimate), "replications": replications}
    for name, (change, judge) in _REFUTERS.items():
        found[name] = _attempt(plan, estimator, change, judge, name, chosen.estimate, replications)
    return found


def _attempt(
    plan: Plan,
    estimator: Estimator,
    change: _Change,
    judge: Callable[[Vector, float], tuple[float, bool]],
    name: str,
    estimate: float,
    replications: int,
) -> Json:
    values: list[float] = []
    reason = ""
    for replication in range(replications):
        changed = change(plan.data, f"{name} {plan.settings.seed} {replication}")
        again = run(estimator, Plan(changed, plan.settings))
        if again.estimate is None:
            reason = again.reason or ""
        else:
            values.append(again.estimate)
    if len(values) < 2:
        return {"reason": _too_few(len(values), replications, reason)}
    draws = np.asarray(values)
    p_value, stands = judge(draws, estimate)
    return {
        "computed": len(values),
        "mean": number(float(draws.mean())),
        "sd": number(float(draws.std(ddof=1))),
        "p_value": number(p_value),
        "stands": stands,
    }


def _too_few(computed: int, replications: int, reason: str) -> str:
    """Why there is no distribution to compare the estimate with."""
    if not computed:
        return f"The estimator gave no number on the changed data: {reason or 'it did not say why.'}"
    if replications == 1:
        return "One replication tells of no distribution; set options.refute to 100, say."
    return f"The estimator gave one number in {replications} replications, which tells of no distribution: {reason}"


def _rare_by_chance(draws: Vector, estimate: float) -> tuple[float, bool]:
    """The share of draws as far from 0 as the estimate, itself counted; it stands where that is rare."""
    p_value = (1 + np.count_nonzero(np.abs(draws) >= abs(estimate))) / (1 + len(draws))
    return float(p_value), bool(p_value <= max(_DOUBTFUL, 1 / (1 + len(draws))))


def _zero_on_average(draws: Vector, estimate: float) -> tuple[float, bool]:
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    p_value = 1.0 if error <= 1e-12 * abs(estimate) else two_sided(float(draws.mean() / error), len(draws) - 1)
    return p_value, p_value > _DOUBTFUL


def _among_them(draws: Vector, estimate: float) -> tuple[float, bool]:
    """How far out the estimate lies among the draws, two-sided; where all agree with it, not at all."""
    slack = 1e-9 * max(abs(estimate), float(np.abs(draws).max()))
    below = np.count_nonzero(draws <= estimate + slack)
    above = np.count_nonzero(draws >= estimate - slack)
    p_value = min(1.0, 2 * (1 + min(below, above)) / (1 + len(draws)))
    return float(p_value), bool(p_value > _DOUBTFUL)


def _uniform(data: Data, purpose: str) -> Vector:
    """(n,) a number strictly between 0 and 1 for each row; rows of one key have the same."""
    bits = keyed(data.row_key, f"refuter {purpose}") >> np.uint64(11)
    return np.asarray((bits.astype(np.float64) + 0.5) / 2.0**53)


def _normal(data: Data, purpose: str) -> Vector:
    from scipy import special

    return np.asarray(special.ndtri(_uniform(data, purpose)))


def _shuffled(values: Vector, data: Data, purpose: str) -> Vector:
    """The values that rows have, dealt out anew among the rows that have one."""
    known: NDArray[np.intp] = np.flatnonzero(~np.isnan(values))
    start, end = (_order(data, f"{purpose} {way}", known) for way in ("from", "to"))
    dealt = values.copy()
    dealt[known[end]] = values[known[start]]
    return dealt


def _order(data: Data, purpose: str, among: NDArray[np.intp]) -> NDArray[np.intp]:
    """An order of some rows at random, rows of one key one after the other: clusters and units move as a whole.

    Within a key the order is by what else the rows hold, so that where they stand says nothing.
    """
    content = data.row_key
    for column in (
        data.y, data.treatment, data.weights, data.pscore, data.unit, data.time, *data.clusters, *data.fixed_effects,
        *data.covariates.T, *data.propensity_covariates.T,
    ):  # fmt: skip
        if column is not None:
            numbers = np.nan_to_num(column.astype(np.float64), nan=np.inf) + 0.0
            content = keyed(content ^ numbers.view(np.uint64), f"refuter {purpose} within a key")
    return np.lexsort((content[among], _uniform(data, purpose)[among]))


def _placebo_treatment(data: Data, purpose: str) -> Data:
    assert data.treatment is not None
    return replace(data, treatment=_shuffled(data.treatment, data, purpose))


def _dummy_outcome(data: Data, purpose: str) -> Data:
    noise = _normal(data, purpose) * float(np.nanstd(data.y))
    return replace(data, y=np.where(np.isnan(data.y), np.nan, noise), y_kind="real")


def _random_common_cause(data: Data, purpose: str) -> Data:
    noise = _normal(data, purpose)[:, None]

    def wider(matrix: Matrix) -> Matrix:
        return np.ascontiguousarray(np.column_stack([matrix, noise]) if matrix.shape[1] else noise)

    names = dict(data.names)
    for role in ("covariates", "propensity_covariates"):
        names[role] = (*names.get(role, ()), "noise")
    covariates = wider(data.covariates)
    same = data.propensity_covariates is data.covariates
    propensity = covariates if same else wider(data.propensity_covariates)
    return replace(data, covariates=covariates, propensity_covariates=propensity, names=names)


def _data_subset(data: Data, purpose: str) -> Data:
    return data.rows(np.flatnonzero(_uniform(data, purpose) < _KEPT))


_REFUTERS: dict[str, tuple[_Change, Callable[[Vector, float], tuple[float, bool]]]] = {
    "placebo_treatment": (_placebo_treatment, _rare_by_chance),
    "dummy_outcome": (_dummy_outcome, _zero_on_average),
    "random_common_cause": (_random_common_cause, _among_them),
    "data_subset": (_data_subset, _among_them),
}
