"""Refutation tests of the primary estimate: the estimator is re-run on modified data for which the answer is known.

After Sharma and Kiciman 2020 (DoWhy, arXiv:2011.04216). Random draws are keyed by row content, so that results do not
depend on row order or platform.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
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
    """Re-estimate the primary on data modified to remove its effect or to leave it unchanged.

    Args:
        plan: the contrast's plan.
        primary: the estimate to refute.
        estimates: results of the estimators.
        replications: number of replications of each modification.

    Returns:
        `placebo_treatment` (treatment permuted among rows: a permutation p-value), `dummy_outcome` (outcome replaced
        by noise: the mean effect must not differ from 0), `random_common_cause` (an added noise covariate) and
        `data_subset` (80% of the rows): the estimate must lie within the distribution of re-estimates. Each with mean
        and standard deviation of the distribution, a p-value and whether the estimate passes.

    Raises:
        UnusableData: no refutation was requested, or the design of the primary does not allow these modifications.
    """
    if not replications:
        raise UnusableData(Message("diagnostics.refutation-not-requested"))
    name = None if primary is None else primary.name
    chosen = next((each for each in estimates if each.name == name), None)
    if chosen is None or chosen.estimate is None:
        raise UnusableData(Message("diagnostics.nothing-to-refute"))
    if not unconfounded(chosen):
        raise UnusableData(Message("diagnostics.refutation-of-design", primary=chosen.name))
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
    reason: str | None = None
    for replication in range(replications):
        changed = change(plan.data, f"{name} {plan.settings.seed} {replication}")
        again = run(estimator, Plan(changed, plan.settings))
        if again.estimate is None:
            reason = again.reason
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


def _too_few(computed: int, replications: int, reason: str | None) -> Message:
    """Return why too few replications succeeded to form a distribution."""
    if not computed:
        return Message("diagnostics.no-replication", reason=reason or Message("diagnostics.no-reason"))
    if replications == 1:
        return Message("diagnostics.one-replication")
    why = reason or Message("diagnostics.no-reason")
    return Message("diagnostics.one-number", replications=replications, reason=why)


def _permutation_test(draws: Vector, estimate: float) -> tuple[float, bool]:
    """Return the permutation p-value of the estimate and whether it is significant."""
    p_value = (1 + np.count_nonzero(np.abs(draws) >= abs(estimate))) / (1 + len(draws))
    return float(p_value), bool(p_value <= max(_DOUBTFUL, 1 / (1 + len(draws))))


def _zero_mean_test(draws: Vector, estimate: float) -> tuple[float, bool]:
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    p_value = 1.0 if error <= 1e-12 * abs(estimate) else two_sided(float(draws.mean() / error), len(draws) - 1)
    return p_value, p_value > _DOUBTFUL


def _rank_test(draws: Vector, estimate: float) -> tuple[float, bool]:
    """Return the two-sided rank p-value of the estimate among the draws, 1 if all draws equal it."""
    slack = 1e-9 * max(abs(estimate), float(np.abs(draws).max()))
    below = np.count_nonzero(draws <= estimate + slack)
    above = np.count_nonzero(draws >= estimate - slack)
    p_value = min(1.0, 2 * (1 + min(below, above)) / (1 + len(draws)))
    return float(p_value), bool(p_value > _DOUBTFUL)


def _uniform(data: Data, purpose: str) -> Vector:
    """Return (n,) uniform draws in the open interval (0, 1); rows with equal keys share a draw."""
    bits = keyed(data.row_key, f"refuter {purpose}") >> np.uint64(11)
    return np.asarray((bits.astype(np.float64) + 0.5) / 2.0**53)


def _normal(data: Data, purpose: str) -> Vector:
    from scipy import special

    return np.asarray(special.ndtri(_uniform(data, purpose)))


def _permuted(values: Vector, data: Data, purpose: str) -> Vector:
    """Permute the known values among the rows that have one."""
    known: NDArray[np.intp] = np.flatnonzero(~np.isnan(values))
    start, end = (_order(data, f"{purpose} {way}", known) for way in ("from", "to"))
    dealt = values.copy()
    dealt[known[end]] = values[known[start]]
    return dealt


def _order(data: Data, purpose: str, among: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a random order of rows that keeps rows with equal keys together, so clusters and units move as a whole.

    Within a key the order is by the rows' other content, so that it does not depend on row order.
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
    return replace(data, treatment=_permuted(data.treatment, data, purpose))


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
    "placebo_treatment": (_placebo_treatment, _permutation_test),
    "dummy_outcome": (_dummy_outcome, _zero_mean_test),
    "random_common_cause": (_random_common_cause, _rank_test),
    "data_subset": (_data_subset, _rank_test),
}
