"""How far the largest of several estimates strays: the multiplier bootstrap of their contributions.

With standard normal multipliers the bootstrapped vector is, given the data, exactly normal with the covariance of the
summed contributions; so it is drawn from that covariance, at a cost that does not grow with the rows.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["DRAWS", "banded", "uniform_critical_value"]

DRAWS = 1_999
_MOST = 400


def uniform_critical_value(covariance: Matrix, alpha: float, degrees: float | None, seed: int) -> float | None:
    """How many standard errors a band must reach to hold all of the estimates at once; None where there are too many.

    Never below the critical value of a single interval.

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
    reasons: Sequence[str | None] = (),
) -> dict[str, Json]:
    """Each estimate with its interval and with the band that holds all of them at once, for a report.

    Args:
        keys: what each estimate is for.
        values: (k,) the estimates.
        covariance: (k, k) of them; 0 where an estimate is so by definition, NaN where it is not known.
        alpha: one minus the level.
        degrees: of freedom of the t distribution of each, or (k,) one by one; None for the normal. The band takes the
            fewest of them for all, so that no interval reaches beyond it.
        seed: of the band's draws.
        reasons: (k,) why an estimate has no error, which the band then does not hold either; None where it has one.
    """
    untold = np.asarray([reason is not None for reason in reasons] or [False] * len(values), dtype=np.bool_)
    covariance = np.where(untold[:, None] | untold, 0.0, covariance)
    known = bool(np.isfinite(covariance).all())
    each = list(degrees) if isinstance(degrees, Sequence) else [degrees] * len(values)
    told = [own for own, variance in zip(each, np.diag(covariance).tolist(), strict=True) if variance > 0]
    fewest = min((own for own in told or each if own is not None), default=None)
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
        if untold[at]:
            row["reason"] = reasons[at]
        rows.append(row)
    return {"critical_value": uniform, "averages": rows}


def _square_root(correlation: Matrix) -> Matrix:
    """The symmetric root, which moves little where the matrix does, unlike its eigenvectors."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _quantile(drawn: Vector, level: float) -> float:
    """The order statistic of a bootstrap: with B draws the level's place among B + 1."""
    place = min(max(math.ceil(level * (len(drawn) + 1)) - 1, 0), len(drawn) - 1)
    return float(np.partition(drawn, place)[place])
