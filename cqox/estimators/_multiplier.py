"""How far the largest of several estimates strays: the multiplier bootstrap of their contributions.

With standard normal multipliers the bootstrapped vector is, given the data, exactly normal with the covariance of the
summed contributions; so it is drawn from that covariance, at a cost that does not grow with the rows.
"""

import math

import numpy as np

from cqox.estimators._quantiles import critical_value
from cqox.estimators.data import Matrix, Vector

__all__ = ["DRAWS", "uniform_critical_value"]

DRAWS = 4_999
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


def _square_root(correlation: Matrix) -> Matrix:
    """The symmetric root, which moves little where the matrix does, unlike its eigenvectors."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _quantile(drawn: Vector, level: float) -> float:
    """The order statistic of a bootstrap: with B draws the level's place among B + 1."""
    place = min(max(math.ceil(level * (len(drawn) + 1)) - 1, 0), len(drawn) - 1)
    return float(np.partition(drawn, place)[place])
