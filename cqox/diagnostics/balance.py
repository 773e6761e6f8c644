"""Standardised mean differences of the covariates between the arms, before and after weighting.

Defined as in cobalt: the difference of the (weighted) means over an unweighted standard deviation, that of the treated
for the ATT, that of the untreated for the ATC, and otherwise the root of the mean of both variances. The standard
deviation of a binary covariate is √(p(1-p)).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.diagnostics.weightings import Weighting
from cqox.errors import UnusableData
from cqox.estimators import Json, Matrix, Plan, Sample, Vector
from cqox.estimators.numerics.row_blocks import Rows, merge_all

__all__ = ["balance"]

_BLOCKS_HELD = 16
_ROUNDING = 9
_DEFINITION = Message("diagnostics.balance-definition")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Means and standard deviations of columns by arm (untreated, treated) and weighting.

    Attributes:
        means, deviations: (2, p) by arm, before weighting.
        weighted: (weightings, 2, p) means by arm under each weighting.
        binary: (p,) True for columns with two values.
    """

    means: Matrix
    deviations: Matrix
    weighted: NDArray[np.float64]
    binary: NDArray[np.bool_]


def balance(plan: Plan, found: Sequence[Weighting]) -> dict[str, Json]:
    """Return the standardised mean difference of each covariate, before weighting and under each weighting.

    Raises:
        UnusableData: the treatment is not binary, or no covariates are mapped.
    """
    if plan.data.treatment_kind != "binary":
        raise UnusableData(Message("diagnostics.balance-needs-binary"))
    groups = _groups(plan)
    if not groups:
        raise UnusableData(Message("diagnostics.balance-needs-covariates"))
    sample = found[0].sample if found else plan.sample("y", "treatment", *groups)
    if min(plan.arm_rows(sample)) < 2:
        raise UnusableData(Message("diagnostics.arm-of-one-row"))
    rows: list[dict[str, Json]] = []
    for role, matrix in groups.items():
        moments = _moments(plan, sample, matrix, found)
        labels = plan.labels(role)
        rows += [_row(labels[at], moments, at, found) for at in range(len(labels))]
    targets = dict.fromkeys(["ATE", "ATT", *(weighting.name for weighting in found)])
    largest: dict[str, Json] = {}
    for target in targets:
        largest[f"before_{target}"] = _largest(rows, f"before_{target}")
    for weighting in found:
        largest[f"after_{weighting.name}"] = _largest(rows, f"after_{weighting.name}")
    return {
        "definition": _DEFINITION,
        "rows": sample.n,
        "weightings": [weighting.name for weighting in found],
        "largest": largest,
        "covariates": list(rows),
    }


def _groups(plan: Plan) -> dict[str, Matrix]:
    data, groups = plan.data, dict[str, Matrix]()
    if plan.has("propensity_covariates"):
        groups["propensity_covariates"] = data.propensity_covariates
    if plan.has("covariates") and data.covariates is not data.propensity_covariates:
        groups["covariates"] = data.covariates
    return groups


def _moments(plan: Plan, sample: Sample, columns: Matrix, found: Sequence[Weighting]) -> _Moments:
    treated, sampling = plan.treated(sample), plan.weights(sample)
    weights = [np.ones(sample.n) if sampling is None else sampling, *(weighting.weights for weighting in found)]

    def block(s: slice) -> Matrix:
        # One covariate per contiguous row: numpy reduces along the last axis several times faster.
        return np.ascontiguousarray((columns[s] if sample.index is None else columns[sample.index[s]]).T)

    def ends(s: slice) -> tuple[Vector, Vector]:
        raw = block(s)
        return raw.min(axis=1), raw.max(axis=1)

    lows, highs = zip(*_by_block(plan, sample, ends), strict=True)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    shift = (low + high) / 2

    def work(s: slice) -> tuple[NDArray[np.float64], ...]:
        raw = block(s)
        x = raw - shift[:, None]
        arms = np.stack([1 - treated[s], treated[s]])
        w = np.concatenate([weight[s] * arms for weight in weights])
        between = np.count_nonzero((raw > low[:, None]) & (raw < high[:, None]), axis=1)
        masses = w.sum(axis=1), np.einsum("ij,ij->i", w[:2], w[:2])
        return w @ x.T, w[:2] @ (x * x).T, between.astype(np.float64), *masses

    sums, squares, between, mass, mass_squares = merge_all(_by_block(plan, sample, work))
    means = sums / mass[:, None]
    variances = np.maximum(squares / mass[:2, None] - means[:2] ** 2, 0.0)
    for arm in (0, 1):
        # Unbiased weighted variance; reduces to the factor n/(n-1) under equal weights.
        correction = mass[arm] ** 2 - mass_squares[arm]
        variances[arm] *= np.where(between > 0, mass[arm] ** 2 / correction if correction > 0 else np.nan, 1.0)
    variances[variances <= 1e-20 * shift**2] = 0.0
    return _Moments(
        means=means[:2] + shift,
        deviations=np.sqrt(variances),
        weighted=(means[2:] + shift).reshape(len(found), 2, columns.shape[1]),
        binary=between == 0,
    )


def _by_block[Result](plan: Plan, sample: Sample, work: Callable[[slice], Result]) -> list[Result]:
    """Return the result of `work` for each block, in row order, dropping mapped pages after each pass.

    Several passes, because the weights of every weighting and the covariates together exceed the memory of one.
    """
    block, results = plan.settings.chunk_rows, list[Result]()
    for start in range(0, sample.n, _BLOCKS_HELD * block):
        rows = Rows(n=min(_BLOCKS_HELD * block, sample.n - start), block=block, threads=plan.settings.threads)
        results += rows.each(partial(_from, start, work))
    return results


def _from[Result](start: int, work: Callable[[slice], Result], s: slice) -> Result:
    return work(slice(start + s.start, start + s.stop))


def _row(label: str, moments: _Moments, at: int, found: Sequence[Weighting]) -> dict[str, Json]:
    (control, treated), (sd_control, sd_treated) = moments.means[:, at], moments.deviations[:, at]
    pooled = float(np.sqrt((sd_control**2 + sd_treated**2) / 2))
    scales = {"ATE": pooled, "ATT": float(sd_treated), "ATC": float(sd_control), "ATO": pooled}
    row: dict[str, Json] = {
        "name": label,
        "binary": bool(moments.binary[at]),
        "mean_treated": number(treated),
        "mean_control": number(control),
        "sd_treated": number(sd_treated),
        "sd_control": number(sd_control),
    }
    targets = {"ATE": "ATE", "ATT": "ATT", **{weighting.name: weighting.target for weighting in found}}
    for name, target in targets.items():
        row[f"before_{name}"] = _standardized(treated - control, scales[target])
    for position, weighting in enumerate(found):
        after = moments.weighted[position, :, at]
        row[f"after_{weighting.name}"] = _standardized(after[1] - after[0], scales[weighting.target])
    if any(value is None for value in row.values()):
        row["reason"] = (
            Message("diagnostics.missing-in-these-rows")
            if not np.isfinite(treated - control)
            else Message("diagnostics.constant-in-scale")
        )
    return row


def _standardized(difference: float, scale: float) -> float | None:
    return number(float(difference) / scale) if scale > 0 else None


def _largest(rows: Sequence[dict[str, Json]], key: str) -> Json:
    found = [(abs(value), row["name"]) for row in rows if isinstance(value := row[key], float)]
    if not found:
        return {"value": None, "reason": Message("diagnostics.no-covariate-varies")}
    # Exact balance leaves rounding errors only, which must not decide the order of names.
    value, name = max(found, key=lambda pair: round(pair[0], _ROUNDING))
    return {"value": value, "name": name}
