"""The jump of a local polynomial regression at a cutoff, its bias correction, and the rows' contributions to its error.

Calonico, Cattaneo and Titiunik 2014, Econometrica 82(6): the bias is estimated by a polynomial of one order more (of
lines by a local quadratic) in a bandwidth of its own, and the robust standard error includes the uncertainty of that
correction.
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
        curves: (2, order + 1, m) coefficients of the conventional fits on each side, of powers of the distance from
            the cutoff.
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
    curves: NDArray[np.float64]
    plain_parts: Matrix
    corrected_parts: Matrix
    adjusted: Vector

    @property
    def intercepts(self) -> Matrix:
        """(2, m) the conventional fits at the cutoff."""
        return self.curves[:, 0]

    @property
    def slopes(self) -> Matrix:
        """(2, m) slopes of the conventional fits at the cutoff, by distance from it; zero of constants."""
        return self.curves[:, 1] if self.curves.shape[1] > 1 else np.zeros_like(self.curves[:, 0])

    def clustered_apart(self, contributions: Vector, sides: Sequence[Side], parameters: int) -> float:
        """Return the variance of a sum of contributions over clusters that are split at the cutoff."""
        total = 0.0
        for side, part in zip(sides, np.split(contributions, [self.below]), strict=True):
            assert side.codes is not None
            total += clustered_by_side(part, side.codes[: len(part)], len(part), parameters)
        return total


def jump(sides: Sequence[Side], h: float, b: float, *, covariates: int, residual: Residual, order: int = 1) -> Jump:
    """Return the jumps of the values that are not covariates.

    Args:
        sides: below and above the cutoff.
        h: bandwidth of the estimate.
        b: bandwidth of its bias.
        covariates: number of the last values that are covariates, with common coefficients on both sides.
        residual: how variances are estimated.
        order: of the polynomials of the estimate; the correction has one order more.

    Raises:
        UnusableData: too few distinct values of the running variable are within a bandwidth.
    """
    within = [(side.within(h), side.within(b)) for side in sides]
    near = [side.window(h, max(counts)) for side, counts in zip(sides, within, strict=True)]
    far = [side.window(b, max(counts)) for side, counts in zip(sides, within, strict=True)]
    lines, curves = [window.fit(order) for window in near], [window.fit(order + 1) for window in far]
    mixtures = _mixtures(lines, covariates)
    plain, corrected = np.zeros(len(mixtures)), np.zeros(len(mixtures))
    parts: list[tuple[Matrix, Matrix]] = []
    for sign, inner, outer, line, curve in zip(_SIGNS, near, far, lines, curves, strict=True):
        estimator = inner.estimator(line, 0)
        bias = float(estimator @ inner.t ** (order + 1))
        robust = estimator - (h / b) ** (order + 1) * bias * outer.estimator(curve, order + 1)
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
        curves=np.array([[line.power(nu) @ mixtures.T / h**nu for nu in range(order + 1)] for line in lines]),
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
