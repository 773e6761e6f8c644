"""First stages of an instrument in strata of each covariate: one of the opposite sign contradicts monotonicity.

Under monotonicity the instrument moves treatment in one direction in every subpopulation that its own assignment does
not define (Angrist and Imbens 1995, doi 10.1080/01621459.1995.10476535), so that no first stage may have the sign
opposite to that of all rows. The strata are the lower and upper half and third of each covariate, or its two values.
"""

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.diagnostics.robust_fit import cluster_codes, robust_fit
from cqox.errors import UnusableData
from cqox.estimators import Codes, Json, Matrix, Plan, Vector
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["first_stages"]

_MOST_COVARIATES = 20
_MOST_ROWS = 50_000
_LEAST_ROWS = 30


def first_stages(plan: Plan) -> dict[str, Json]:
    """Return the first stage of all rows, those of the strata, and the p-value of the opposite one, by Bonferroni.

    Raises:
        UnusableData: not one instrument, a treatment of other than two levels, or no covariate to split by.
    """
    data = plan.data
    if data.instruments.shape[1] != 1 or data.treatment_kind != "binary" or not plan.has("covariates"):
        raise UnusableData(Message("diagnostics.first-stages-need"))
    sample = plan.sample("treatment", "instrument", "covariates")
    rows = np.arange(sample.n) if sample.n <= _MOST_ROWS else np.linspace(0, sample.n - 1, _MOST_ROWS).astype(np.intp)
    t, z = plan.treated(sample)[rows], sample.take(data.instruments[:, 0])[rows]
    x, codes, weights = sample.take(data.covariates)[rows], cluster_codes(plan, sample), plan.weights(sample)
    codes = None if codes is None else codes[rows]
    weights = None if weights is None else weights[rows]
    whole = _slope(np.column_stack([np.ones(len(rows)), z, x]), t, codes, weights)
    if whole is None or not whole[1] > 0:
        raise UnusableData(Message("diagnostics.no-first-stage"))
    labels, sign = plan.labels("covariates"), np.sign(whole[0])
    strata: list[Json] = []
    opposed: list[float] = []
    for column in range(min(x.shape[1], _MOST_COVARIATES)):
        for side, inside in _strata(x[:, column]):
            found = _stratum(t, z, inside, codes, weights)
            if found is None:
                continue
            slope, error, degrees = found
            p_value = two_sided(slope / error, degrees) if slope * sign < 0 else 1.0
            opposed.append(p_value)
            strata.append({"covariate": labels[column], "side": side, "first_stage": number(slope),
                           "standard_error": number(error)})  # fmt: skip
    if not opposed:
        raise UnusableData(Message("diagnostics.no-stratum"))
    worst = int(np.argmin(opposed))
    return {
        "first_stage": number(whole[0]),
        "strata": strata,
        "opposite": strata[worst] if opposed[worst] < 1 else None,
        "p_value": min(1.0, len(opposed) * opposed[worst]),
    }


def _strata(column: Vector) -> list[tuple[str, NDArray[np.bool_]]]:
    low, median, high = np.quantile(column, (1 / 3, 0.5, 2 / 3))
    above = column > median if (column > median).any() else column >= median
    strata = [("upper half", above), ("lower half", ~above)]
    return [*strata, ("upper third", column > high), ("lower third", column < low)] if low < high else strata


def _stratum(
    t: Vector, z: Vector, inside: NDArray[np.bool_], codes: Codes | None, weights: Vector | None
) -> tuple[float, float, float] | None:
    if np.count_nonzero(inside) < _LEAST_ROWS or np.ptp(z[inside]) == 0:
        return None
    design = np.column_stack([np.ones(np.count_nonzero(inside)), z[inside]])
    codes = None if codes is None else codes[inside]
    weights = None if weights is None else weights[inside]
    found = _slope(design, t[inside], codes, weights)
    return None if found is None or not found[1] > 0 else found


def _slope(design: Matrix, t: Vector, codes: Codes | None, weights: Vector | None) -> tuple[float, float, float] | None:
    fit = robust_fit(design, t, codes=codes, weights=weights)
    return None if fit is None else (float(fit.coefficients[1]), float(np.sqrt(fit.covariance[1, 1])), fit.degrees)
