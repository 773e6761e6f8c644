"""Best linear predictor of the effect: scores regressed on the covariates, with robust standard errors."""

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.numerics.frame import Crossed, Frame
from cqox.estimators.numerics.gram import Solution, gram_partial, solve
from cqox.estimators.numerics.row_blocks import Partial

__all__ = ["best_linear", "in_own_units"]


def best_linear(frame: Frame, scores: Vector, clusters: Clusters) -> tuple[Vector, Matrix]:
    """Return coefficients of (n,) scores on a frame's `x`, in the columns' own units, with their covariance.

    HC1; where rows are clustered CRV1 by the first dimension.

    Returns:
        (k,) coefficients, the intercept first, and (k, k) covariances.
    """
    k, n, weights = frame.at["x"].stop, frame.n, frame.weights
    weighted = scores if weights is None else scores * weights
    (right,) = frame.rows.total(lambda s: (frame.matrix[:k, s] @ weighted[s],))
    fit = solve(frame.products[:k, :k], right[:, None])
    slopes = fit.coefficients[:, 0]
    residuals = np.empty(n)

    def work(s: slice) -> Partial:
        block = frame.matrix[:k, s]
        np.subtract(scores[s], slopes @ block, out=residuals[s])
        if weights is not None:
            residuals[s] *= weights[s]
        return gram_partial(block, residuals[s] ** 2)

    (meat,) = frame.rows.total(work)
    count = None
    if clusters.codes:
        codes, count = clusters.codes[0], clusters.counts[0]
        sums = np.stack([np.bincount(codes, frame.matrix[column] * residuals, count) for column in range(k)])
        meat = sums @ sums.T
    return in_own_units(frame, fit, meat, count)


def in_own_units(frame: Crossed, fit: Solution, meat: Matrix, clusters: int | None) -> tuple[Vector, Matrix]:
    """Return `best_linear` from a fit on the standardised columns.

    Args:
        frame: the columns.
        fit: the regression of the scores on `x`.
        meat: (k, k) cross-products of the rows' moments, or of their sums over clusters.
        clusters: number of clusters; None where rows are independent.
    """
    k, n, slopes = frame.at["x"].stop, frame.n, fit.coefficients[:, 0]
    factor = n / (n - k)
    if clusters is not None:
        factor = clusters / max(clusters - 1, 1) * (n - 1) / (n - k)
    covariance = fit.inverse @ meat @ fit.inverse * factor
    # Back to the columns' own units: slopes by their scales, the intercept by what centring took from it.
    change = np.diag(np.concatenate([[1.0], 1 / frame.scale[1:k]]))
    change[0, 1:] = -frame.centre[1:k] / frame.scale[1:k]
    return np.asarray(change @ slopes), np.asarray(change @ covariance @ change.T)
