"""Best linear predictor of the effect: scores regressed on the covariates, with robust standard errors."""

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import gram_partial, solve
from cqox.estimators.numerics.row_blocks import Partial

__all__ = ["best_linear"]


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
    factor = n / (n - k)
    if clusters.codes:
        codes, count = clusters.codes[0], clusters.counts[0]
        sums = np.stack([np.bincount(codes, frame.matrix[column] * residuals, count) for column in range(k)])
        meat, factor = sums @ sums.T, count / max(count - 1, 1) * (n - 1) / (n - k)
    covariance = fit.inverse @ meat @ fit.inverse * factor
    # Back to the columns' own units: slopes by their scales, the intercept by what centring took from it.
    change = np.diag(np.concatenate([[1.0], 1 / frame.scale[1:k]]))
    change[0, 1:] = -frame.centre[1:k] / frame.scale[1:k]
    return np.asarray(change @ slopes), np.asarray(change @ covariance @ change.T)
