"""Ordinary least squares with robust errors, for tests of a design on few columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Codes, Matrix, Plan, Sample, Vector
from cqox.estimators.numerics.quantiles import f_survival

__all__ = ["RobustFit", "cluster_codes", "robust_fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustFit:
    """Coefficients with an HC1 covariance, or a CRV1 one where rows are clustered.

    Attributes:
        coefficients: (k,) in the order of the columns.
        covariance: (k, k).
        degrees: residual degrees of freedom, or clusters less one.
    """

    coefficients: Vector
    covariance: Matrix
    degrees: float

    def p_value(self, columns: NDArray[np.intp]) -> float | None:
        """Return the p-value of the Wald F test that these coefficients are 0; None if their covariance is singular."""
        value, spread = self.coefficients[columns], self.covariance[np.ix_(columns, columns)]
        try:
            statistic = float(value @ np.linalg.solve(spread, value)) / len(columns)
        except np.linalg.LinAlgError:
            return None
        degrees = self.degrees - len(columns) + 1
        return f_survival(statistic, len(columns), degrees) if np.isfinite(statistic) and degrees > 0 else None


def robust_fit(
    design: Matrix, outcome: Vector, *, codes: Codes | None = None, weights: Vector | None = None
) -> RobustFit | None:
    """Regress an outcome on a design; None if columns are collinear or too few rows or clusters are left.

    Args:
        design: (n, k), a constant among the columns.
        outcome: (n,).
        codes: (n,) clusters.
        weights: (n,) sampling weights.
    """
    n, k = design.shape
    if n <= k + 1:
        return None
    root = np.ones(n) if weights is None else np.sqrt(weights)
    x, y = design * root[:, None], outcome * root
    scale = np.sqrt(np.einsum("ij,ij->j", x, x))
    if not (scale > 0).all():
        return None
    basis, triangle = np.linalg.qr(x / scale)
    if np.abs(np.diag(triangle)).min() < 1e-9:
        return None
    inverse = np.linalg.inv(triangle)
    coefficients = inverse @ (basis.T @ y)
    moments = basis * (y - (x / scale) @ coefficients)[:, None]
    degrees, factor = float(n - k), n / (n - k)
    if codes is not None:
        groups, place = np.unique(codes, return_inverse=True)
        if len(groups) < 2:
            return None
        sums = np.zeros((len(groups), k))
        np.add.at(sums, place, moments)
        moments, degrees = sums, float(len(groups) - 1)
        factor = len(groups) / (len(groups) - 1) * (n - 1) / (n - k)
    middle = inverse @ (moments.T @ moments) @ inverse.T * factor
    return RobustFit(coefficients=coefficients / scale, covariance=middle / np.outer(scale, scale), degrees=degrees)


def cluster_codes(plan: Plan, sample: Sample) -> Codes | None:
    """Return (sample.n,) codes of the first dimension of clusters; None where rows are independent."""
    clusters = plan.clusters(sample)
    return clusters.codes[0] if clusters.codes else None
