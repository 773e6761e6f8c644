"""The jump of a local linear regression at a cutoff, its bias correction, and the rows' contributions to its error.

Calonico, Cattaneo and Titiunik 2014, Econometrica 82(6): the bias is estimated by a local quadratic in a bandwidth of
its own, and the robust standard error includes the uncertainty of that correction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import solve
from cqox.estimators.rd.local_polynomial import Fit, Residual, Side, clustered_by_side

__all__ = ["Jump", "jump"]

_SIGNS = (-1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """The jumps of the outcome and, in a fuzzy design, of the treatment; m of them.

    Attributes:
        h, b: bandwidths.
        rows: (n,) positions in the sample of the rows within the larger bandwidth, below the cutoff first.
        below: number of them below the cutoff.
        within_h, within_b: number of rows on each side.
        distinct: distinct values of the running variable on each side within h.
        plain, corrected: (m,) the jumps, conventional and bias-corrected.
        intercepts, slopes: (2, m) the conventional lines on each side, by distance from the cutoff.
        plain_parts, corrected_parts: (m, n) contributions of the rows to each.
        adjusted: (c,) of the outcome: coefficients of the covariates.
    """

    h: float
    b: float
    rows: NDArray[np.intp]
    below: int
    within_h: tuple[int, int]
    within_b: tuple[int, int]
    distinct: tuple[int, int]
    plain: Vector
    corrected: Vector
    intercepts: Matrix
    slopes: Matrix
    plain_parts: Matrix
    corrected_parts: Matrix
    adjusted: Vector

    def clustered_apart(self, contributions: Vector, sides: Sequence[Side], parameters: int) -> float:
        """Return the variance of a sum of contributions over clusters that are split at the cutoff."""
        total = 0.0
        for side, part in zip(sides, np.split(contributions, [self.below]), strict=True):
            assert side.codes is not None
            total += clustered_by_side(part, side.codes[: len(part)], len(part), parameters)
        return total


def jump(sides: Sequence[Side], h: float, b: float, *, covariates: int, residual: Residual) -> Jump:
    """Return the jumps of the values that are not covariates.

    Args:
        sides: below and above the cutoff.
        h: bandwidth of the estimate.
        b: bandwidth of its bias.
        covariates: number of the last values that are covariates, with common coefficients on both sides.
        residual: how variances are estimated.

    Raises:
        UnusableData: too few distinct values of the running variable are within a bandwidth.
    """
    within = [(side.within(h), side.within(b)) for side in sides]
    near = [side.window(h, max(counts)) for side, counts in zip(sides, within, strict=True)]
    far = [side.window(b, max(counts)) for side, counts in zip(sides, within, strict=True)]
    lines, curves = [window.fit(1) for window in near], [window.fit(2) for window in far]
    mixtures = _mixtures(lines, covariates)
    plain, corrected = np.zeros(len(mixtures)), np.zeros(len(mixtures))
    parts: list[tuple[Matrix, Matrix]] = []
    for sign, inner, outer, line, curve in zip(_SIGNS, near, far, lines, curves, strict=True):
        estimator = inner.estimator(line, 0)
        bias = float(estimator @ np.square(inner.t))
        robust = estimator - (h / b) ** 2 * bias * outer.estimator(curve, 2)
        rest = np.empty((2, len(mixtures), inner.n))
        for place, mixture in enumerate(mixtures):
            value = inner.mixed(mixture)
            plain[place] += sign * float(estimator @ value)
            corrected[place] += sign * float(robust @ value)
            rest[0, place] = inner.residuals(residual, mixture, line)
            rest[1, place] = rest[0, place] if residual == "NN" else outer.residuals(residual, mixture, curve)
        parts.append((sign * estimator * rest[0], sign * robust * rest[1]))
    left, right = within
    return Jump(
        h=h, b=b,
        rows=np.concatenate([side.rows[: window.n] for side, window in zip(sides, near, strict=True)]),
        below=near[0].n,
        within_h=(left[0], right[0]), within_b=(left[1], right[1]),
        distinct=(sides[0].distinct(left[0]), sides[1].distinct(right[0])),
        plain=plain, corrected=corrected,
        intercepts=np.array([line.power(0) @ mixtures.T for line in lines]),
        slopes=np.array([line.power(1) @ mixtures.T for line in lines]) / h,
        plain_parts=np.concatenate([part[0] for part in parts], axis=1),
        corrected_parts=np.concatenate([part[1] for part in parts], axis=1),
        adjusted=-mixtures[0, len(mixtures):],
    )  # fmt: skip


def _mixtures(lines: Sequence[Fit], covariates: int) -> Matrix:
    """Return (m, k) weights of the values in each head: itself, net of the covariates by one regression of both
    sides."""
    k = lines[0].coefficients.shape[1]
    heads = k - covariates
    mixtures = np.eye(heads, k)
    if covariates:
        left = lines[0].partialled + lines[1].partialled
        mixtures[:, heads:] = -solve(left[heads:, heads:], left[heads:, :heads]).coefficients.T
    return mixtures
