"""Simultaneous bands: the multiplier bootstrap of the largest t statistic of several estimates.

With standard normal multipliers the bootstrap vector is, given the data, exactly normal with the covariance of the
summed contributions; so it is drawn from that covariance, at a cost that does not depend on the number of rows.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["DRAWS", "banded", "uniform_critical_value"]

DRAWS = 1_999
_MOST = 400


def uniform_critical_value(covariance: Matrix, alpha: float, degrees: float | None, seed: int) -> float | None:
    """Return the critical value of a simultaneous band, in standard errors; None if there are too many estimates.

    It is never below the critical value of a single interval.

    Args:
        covariance: (k, k) of the estimates.
        alpha: one minus the level.
        degrees: of freedom of the t distribution of each; None for the normal.
        seed: of the draws' generator.
    """
    variances = np.diag(covariance)
    used = variances > 1e-20 * variances.max(initial=0.0)
    count = int(used.sum())
    single = critical_value(alpha, degrees)
    if count < 2:
        return single
    if count > _MOST:
        return None
    errors = np.sqrt(variances[used])
    correlation = covariance[np.ix_(used, used)] / np.outer(errors, errors)
    root = _square_root(correlation)
    generator = np.random.Generator(np.random.Philox(seed))
    drawn = np.abs(generator.standard_normal((DRAWS, count)) @ root).max(axis=1)
    if degrees is not None:
        drawn /= np.sqrt(generator.chisquare(degrees, DRAWS) / degrees)
    return max(single, _quantile(drawn, 1.0 - alpha))


def banded(
    keys: Sequence[Mapping[str, Json]],
    values: Vector,
    covariance: Matrix,
    *,
    alpha: float,
    degrees: float | Sequence[float | None] | None,
    seed: int,
    reasons: Sequence[Message | None] = (),
) -> dict[str, Json]:
    """Return each estimate with its pointwise interval and its simultaneous band, for a report.

    Args:
        keys: identifies each estimate.
        values: (k,) the estimates.
        covariance: (k, k) of them; 0 where an estimate is fixed by definition, NaN where it is unknown.
        alpha: one minus the level.
        degrees: of freedom of the t distribution of each, or (k,) one by one; None for the normal. The band uses the
            smallest, so that every band contains its interval.
        seed: of the band's draws.
        reasons: (k,) why an estimate has no standard error, and so no part in the band; None where it has one.
    """
    undefined = np.asarray([reason is not None for reason in reasons] or [False] * len(values), dtype=np.bool_)
    covariance = np.where(undefined[:, None] | undefined, 0.0, covariance)
    known = bool(np.isfinite(covariance).all())
    each = list(degrees) if isinstance(degrees, Sequence) else [degrees] * len(values)
    identified = [own for own, variance in zip(each, np.diag(covariance).tolist(), strict=True) if variance > 0]
    fewest = min((own for own in identified or each if own is not None), default=None)
    uniform = uniform_critical_value(covariance, alpha, fewest, seed) if known else None
    rows: list[Json] = []
    for at, key in enumerate(keys):
        value, variance = float(values[at]), float(covariance[at, at])
        error = math.sqrt(variance) if variance > 0 else None
        row: dict[str, Json] = {**key, "estimate": value, "standard_error": error}
        for name, reach in (("", critical_value(alpha, each[at])), ("band_", uniform)):
            for end, sign in (("lower", -1.0), ("upper", 1.0)):
                row[f"{name}{end}"] = None if error is None or reach is None else value + sign * reach * error
        if isinstance(degrees, Sequence) and error is not None and each[at] is not None:
            row["degrees_of_freedom"] = each[at]
        if undefined[at]:
            row["reason"] = reasons[at]
        rows.append(row)
    return {"critical_value": uniform, "averages": rows}


def _square_root(correlation: Matrix) -> Matrix:
    """Return the symmetric root, which is continuous in the matrix, unlike its eigenvectors."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _quantile(drawn: Vector, level: float) -> float:
    """Return the order statistic of a bootstrap quantile: with B draws the level's rank among B + 1."""
    place = min(max(math.ceil(level * (len(drawn) + 1)) - 1, 0), len(drawn) - 1)
    return float(np.partition(drawn, place)[place])
