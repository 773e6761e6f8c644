"""Small-sample correction of standard errors where an arm has few rows for each coefficient of its model.

The residuals of an arm's regression vary less than its errors, and the arm's variance is known only as precisely as its
few rows determine one. Each squared residual is divided by its expected share of the error variance, and the t
distribution has Welch's degrees of freedom, as HC2 with the degrees of freedom of Bell and McCaffrey 2002 (Survey
Methodology 28) and Imbens and Kolesár 2016 (doi 10.1162/REST_a_00552) does for least squares. The rule depends on the
design alone, never on an outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector

__all__ = [
    "ROWS",
    "ROWS_PER_COEFFICIENT",
    "Carried",
    "Corrected",
    "corrected",
    "own_degrees",
    "sparse_arms",
    "trace_ratio",
]

ROWS_PER_COEFFICIENT, ROWS = 20, 125
"""Rows of an arm, per coefficient of its model and in all, from which on the theory of large samples is used."""

_LEAST_SHARE = 1e-9


def sparse_arms(rows: Sequence[int], coefficients: Sequence[int]) -> tuple[bool, ...]:
    """Return, by arm, whether it has too few rows per coefficient for large-sample errors."""
    return tuple(n < max(ROWS, ROWS_PER_COEFFICIENT * k) for n, k in zip(rows, coefficients, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The part of an estimate's contributions that the residuals of one arm's regression carry.

    Attributes:
        rows: (n,) True for the rows of the arm.
        columns: (k, m) regressors of the arm's m rows.
        inverse: (k, k) inverse of their weighted cross-products.
        weights: (m,) of the regression; None for equal weights.
        loads: (m,) change of the estimate by each row's error.
    """

    rows: NDArray[np.bool_]
    columns: Matrix
    inverse: Matrix
    weights: Vector | None
    loads: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected variance, and the degrees of freedom of its t distribution."""

    variance: float
    degrees: float


def corrected(parts: Vector, rest: Vector | None, arms: Sequence[Carried]) -> Corrected:
    """Return the variance Σ(u/√g + s)² with Welch's degrees of freedom.

    Args:
        parts: (n,) u, what the residuals of the arms' regressions contribute.
        rest: (n,) s, what does not come from residuals, such as the variation of the covariates; None for nothing.
        arms: the arms with few rows; the rows of others keep u, and their number less 1 as degrees of freedom.
    """
    scaled, n = parts.copy(), len(parts)
    left = np.ones(n, dtype=np.bool_)
    own: list[tuple[NDArray[np.bool_], float]] = []
    for arm in arms:
        share, degrees = _shares(arm)
        scaled[arm.rows] /= np.sqrt(share)
        own.append((arm.rows, degrees))
        left &= ~arm.rows
    if left.any():
        own.append((left, max(float(left.sum()) - 1.0, 1.0)))
    variances = [float(scaled[rows] @ scaled[rows]) for rows, _ in own]
    total = scaled if rest is None else scaled + rest
    variance = float(total @ total)
    worth = sum(part**2 / degrees for part, (_, degrees) in zip(variances, own, strict=True))
    most = float(n - 1)
    return Corrected(variance=variance, degrees=min(variance**2 / worth, most) if worth > 0 else most)


def _shares(arm: Carried) -> tuple[Vector, float]:
    """Return (m,) the expected squares of the arm's residuals per error variance, and its degrees of freedom.

    For independent errors of equal variance the residuals (I - H)ε, H = XA X'W, have variances 1 - 2h + x'A(X'W²X)Ax.
    """
    x, a, w = arm.columns, arm.inverse, arm.weights
    spread = np.einsum("ij,ij->j", a @ x, x)
    if w is None:
        share = 1.0 - spread
    else:
        middle = a @ ((x * (w * w)) @ x.T) @ a
        share = 1.0 - 2.0 * w * spread + np.einsum("ij,ij->j", middle @ x, x)
    share = np.where(share > _LEAST_SHARE, share, 1.0)
    return share, own_degrees(x, a, w, np.square(arm.loads) / share)


def own_degrees(x: Matrix, a: Matrix, w: Vector | None, d: Vector, squares: Matrix | None = None) -> float:
    """Return tr(M)²/tr(M²), M = (I - H)'D(I - H), of a sum of squared residuals with weights d, at least 1.

    (I - H)(I - H)' = I - F'CF for F the columns and the weighted columns.

    Args:
        x: (k, m) regressors of the rows that the sum is over.
        a: (k, k) inverse of the weighted cross-products of all rows of the regression.
        w: (m,) weights of the regression; None for equal weights.
        d: (m,) weights of the squared residuals.
        squares: (k, k) X'W²X of all rows of the regression; of these rows where None.
    """
    d = d / d.max(initial=0.0) if d.max(initial=0.0) > 0 else np.ones_like(d)
    if w is None:
        f, c = x, a
    else:
        f = np.concatenate((x, x * w))
        middle = (x * (w * w)) @ x.T if squares is None else squares
        c = np.block([[-a @ middle @ a, a], [a, np.zeros_like(a)]])
    z = np.einsum("ij,ij->j", c @ f, f)
    crossed = c @ ((f * d) @ f.T)
    trace = float(d @ (1.0 - z))
    squared = float((d * d) @ (1.0 - 2.0 * z)) + float(np.trace(crossed @ crossed))
    return max(trace**2 / squared, 1.0) if squared > 0 else 1.0


def trace_ratio(*, pp: float, pd: float, dd: float, d: float, pdd: float, dpp: float) -> float:
    """Return tr(M²)/tr(M)² of M = (I - p1')'D(I - p1'), from sums of products of weights p that sum to 1 and of the
    diagonal d of D.
    """
    trace = d - 2.0 * pd + d * pp
    crossed = 2.0 * (pd * pd + pp * dd) - 4.0 * d * pp * pd + (d * pp) ** 2
    return (dd - 4.0 * pdd + 2.0 * d * dpp + crossed) / trace**2
