"""Local polynomial regression on one side of a cutoff: every estimate is a weighted sum of outcomes.

A window is the rows of a side within a bandwidth, with the weights of a kernel, in units of that bandwidth. The rows
are sorted by distance from the cutoff, so that every window is a leading slice of its side.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.absorb import compress

__all__ = ["Fit", "Kernel", "Residual", "Side", "Window", "clustered_by_side"]

type Kernel = Literal["triangular", "uniform", "epanechnikov"]
type Residual = Literal["NN", "HC0", "HC1", "HC2", "HC3"]

NEIGHBOURS = 3
_BLOCK = 16_384
_SINGULAR = 1e-12
_EXPLAINED = 1e-12
"""A variable with a smaller residual share counts as fitted exactly: the rest is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The rows on one side of the cutoff, the nearest first.

    Attributes:
        rows: (n,) their positions in the sample.
        distance: (n,) from the cutoff, ascending.
        values: (k, n) the outcome, the treatment of a fuzzy design, and the covariates.
        weights: (n,) sampling weights, None where there are none.
        codes: (n,) the cluster of each row, None where rows are independent.
        starts: (groups,) where each distinct distance begins.
        tolerance: distances that differ by less are equal.
        kernel: weights of distances; the uniform one includes rows at the bandwidth itself.
    """

    rows: NDArray[np.intp]
    distance: Vector
    values: Matrix
    weights: Vector | None
    codes: Codes | None
    starts: NDArray[np.intp]
    tolerance: float
    kernel: Kernel = "triangular"

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.distance)

    def only(self, kept: NDArray[np.bool_]) -> "Side":
        """Return some of the rows, by an (n,) mask."""
        groups = np.repeat(np.arange(len(self.starts)), np.diff(np.append(self.starts, self.n)))[kept]
        return replace(
            self, rows=self.rows[kept], distance=self.distance[kept], values=self.values[:, kept],
            starts=np.flatnonzero(np.diff(groups, prepend=-1)),
            weights=None if self.weights is None else self.weights[kept],
            codes=None if self.codes is None else self.codes[kept],
        )  # fmt: skip

    def within(self, bandwidth: float) -> int:
        """Return the number of rows that have a weight at a bandwidth."""
        if self.kernel == "uniform":
            return int(np.searchsorted(self.distance, bandwidth + self.tolerance, side="right"))
        return int(np.searchsorted(self.distance, bandwidth, side="left"))

    def distinct(self, rows: int) -> int:
        """Return the number of distinct distances among the nearest rows."""
        return int(np.searchsorted(self.starts, rows, side="left"))

    def window(self, bandwidth: float, rows: int | None = None) -> "Window":
        """Return the window of the rows within the bandwidth, or of a number of rows, those beyond it of zero
        weight."""
        inside = self.within(bandwidth)
        t = self.distance[: inside if rows is None else rows] / bandwidth
        weights = self._weights(t, inside)
        if self.weights is not None:
            weights *= self.weights[: len(t)]
        return Window(side=self, bandwidth=bandwidth, inside=inside, t=t, weights=weights)

    def _weights(self, t: Vector, inside: int) -> Vector:
        match self.kernel:
            case "triangular":
                return np.maximum(1.0 - t, 0.0)
            case "epanechnikov":
                return np.maximum(1.0 - t * t, 0.0)
            case "uniform":
                return (np.arange(len(t)) < inside).astype(np.float64)

    def reaching(self, distinct: int) -> float:
        """Return the distance of the nth distinct value, or the farthest where there are fewer."""
        return float(self.distance[self.starts[min(distinct, len(self.starts)) - 1]])

    def holding(self, distinct: int) -> float:
        """Return a bandwidth that gives weight to this many distinct values, or to all where there are fewer."""
        if self.kernel == "uniform":
            return self.reaching(distinct)
        if distinct < len(self.starts):
            return self.reaching(distinct + 1)
        return 1.25 * float(self.distance[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A polynomial fitted in a window.

    Attributes:
        order: of the polynomial.
        reach: the largest t with a weight; the basis is of t / reach, for precision on a side that ends within the
            bandwidth.
        inverse: (order + 1, order + 1) of the weighted cross-products of the basis.
        coefficients: (order + 1, k) on the basis, of each of the side's values.
        partialled: (k, k) weighted cross-products of the residuals of the values.
    """

    order: int
    reach: float
    inverse: Matrix
    coefficients: Matrix
    partialled: Matrix

    def power(self, nu: int) -> Vector:
        """Return (k,) the coefficients of t to the power nu."""
        return np.asarray(self.functional(nu) @ self.coefficients)

    def functional(self, nu: int) -> Vector:
        """Return (order + 1,) the coefficient of t to the power nu in each basis polynomial."""
        return _powers(self.order)[:, nu] / self.reach**nu

    def evaluated(self, t: Vector, coefficients: Vector) -> Vector:
        """Return (n,) a polynomial at t, from its coefficients on the basis."""
        powers = coefficients @ _powers(self.order) / self.reach ** np.arange(self.order + 1)
        total = np.full(len(t), powers[-1])
        for each in powers[-2::-1]:
            total *= t
            total += each
        return total


@dataclass(frozen=True, kw_only=True)
class Window:
    """The rows of a side within a bandwidth.

    Attributes:
        side: the side of the rows.
        bandwidth: in the units of the distance.
        inside: number of rows within the bandwidth.
        t: (n,) distances in units of the bandwidth, not negative.
        weights: (n,) of the kernel times those of sampling.
    """

    side: Side
    bandwidth: float
    inside: int
    t: Vector
    weights: Vector

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.t)

    def fit(self, order: int) -> Fit:
        """Fit the weighted least-squares polynomial.

        Raises:
            UnusableData: there are fewer distinct distances than coefficients.
        """
        distinct = self.side.distinct(self.inside)
        if distinct <= order:
            raise UnusableData(Message("rd.too-few-values-within", order=order, least=order + 1, values=distinct))
        values = self.side.values
        width = order + 1
        reach = float(self.t[self.inside - 1])
        gram, right = np.zeros((width, width)), np.zeros((width, len(values)))
        cross = np.zeros((len(values), len(values)))
        for start in range(0, self.n, _BLOCK):
            at = slice(start, min(start + _BLOCK, self.n))
            basis = _basis(self.t[at] / reach, order)
            weighted = basis * self.weights[at]
            gram += weighted @ basis.T
            right += weighted @ values[:, at].T
            if len(values) > 1:
                cross += (values[:, at] * self.weights[at]) @ values[:, at].T
        inverse = _inverse(gram)
        coefficients = inverse @ right
        left = cross - right.T @ coefficients
        explained = np.diag(left) <= _EXPLAINED * np.diag(cross)
        left[explained] = left[:, explained] = 0.0
        return Fit(order=order, reach=reach, inverse=inverse, coefficients=coefficients, partialled=left)

    def estimator(self, fit: Fit, nu: int) -> Vector:
        """Return (n,) weights whose sum with a variable is the coefficient of t to the power nu."""
        return np.asarray(self.weights * fit.evaluated(self.t, fit.inverse @ fit.functional(nu)))

    def fitted(self, fit: Fit, mixture: Vector) -> Vector:
        """Return (n,) fitted values of a combination of the values."""
        return fit.evaluated(self.t, fit.coefficients @ mixture)

    def mixed(self, mixture: Vector) -> Vector:
        """Return (n,) a combination of the side's values."""
        values = self.side.values[:, : self.n]
        return values[0] * mixture[0] if len(values) == 1 else mixture @ values

    def residuals(self, kind: Residual, mixture: Vector, fit: Fit) -> Vector:
        """Return (n,) residuals whose squares estimate the variance of a combination of the values.

        Args:
            kind: by nearest neighbours, or from the fit with a correction by its leverages.
            mixture: (k,) of the combination.
            fit: in this window.
        """
        values = self.mixed(mixture)
        if kind == "NN":
            return self._neighbours.residuals(values)
        rest = values - self.fitted(fit, mixture)
        if kind == "HC1":
            rest *= np.sqrt(self.n / max(self.n - fit.order - 1, 1))
        elif kind in ("HC2", "HC3"):
            basis = _basis(self.t / fit.reach, fit.order)
            left = np.maximum(1.0 - self.weights * np.einsum("in,ij,jn->n", basis, fit.inverse, basis), 1e-12)
            rest /= np.sqrt(left) if kind == "HC2" else left
        return rest

    @cached_property
    def _neighbours(self) -> "_Neighbours":
        return _neighbours(self.side, self.n, NEIGHBOURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbours:
    """For each row its nearest neighbours in the running variable: a contiguous range, including the row itself."""

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    others: Vector

    def residuals(self, values: Vector) -> Vector:
        """Return (n,) the row less the mean of its neighbours, scaled to the variance of the row's error alone."""
        centred = values - values.mean()
        sums = np.concatenate([[0.0], np.cumsum(centred)])
        together = sums[self.last] - sums[self.first]
        return np.asarray(np.sqrt(self.others / (self.others + 1.0)) * (centred - (together - centred) / self.others))


def _neighbours(side: Side, rows: int, wanted: int) -> _Neighbours:
    """Return the nearest rows of a window, including ties with the last."""
    count = int(np.searchsorted(side.starts, rows, side="left"))
    starts = np.append(side.starts[:count], rows)
    sizes = np.diff(starts)
    # Sentinels beyond either end, so that no step leads there.
    places = np.concatenate([[-np.inf], side.distance[starts[:-1]], [np.inf]])
    own = places[1:-1]
    low, high = np.arange(count), np.arange(count)
    others = sizes - 1
    wanted = min(wanted, rows - 1)
    for _ in range(wanted):
        short = others < wanted
        if not short.any():
            break
        before, after = own - places[low], places[high + 2] - own
        with np.errstate(invalid="ignore"):
            down = short & (before <= after + side.tolerance)
            up = short & (after <= before + side.tolerance)
        low = low - down
        high = high + up
        others = others + down * sizes[low] + up * sizes[high]
    first, last, counted = starts[low], starts[high + 1], others.astype(np.float64)
    if count == rows:
        return _Neighbours(first=first, last=last, others=counted)
    return _Neighbours(first=np.repeat(first, sizes), last=np.repeat(last, sizes), others=np.repeat(counted, sizes))


def clustered_by_side(contributions: Vector, codes: Codes, rows: int, parameters: int) -> float:
    """Return the variance of a sum over one side's clusters, with G/(G-1)·(N-1)/(N-K).

    Args:
        contributions: (n,) to the sum.
        codes: (n,) clusters.
        rows: N.
        parameters: K.
    """
    dense, groups = compress(codes)
    if groups < 2:
        return float(contributions.sum() ** 2)
    factor = (rows - 1) / max(rows - parameters, 1) * groups / (groups - 1)
    return factor * float(np.square(np.bincount(dense, contributions, groups)).sum())


def _basis(t: Vector, order: int) -> Matrix:
    """Return (order + 1, n) Legendre polynomials on [0, 1]: powers of t would lose half of the digits."""
    basis = np.empty((order + 1, len(t)))
    basis[0] = 1.0
    if order:
        z = 2.0 * t - 1.0
        basis[1] = z
        for degree in range(1, order):
            basis[degree + 1] = ((2 * degree + 1) * z * basis[degree] - degree * basis[degree - 1]) / (degree + 1)
    return basis


_TABLES: dict[int, Matrix] = {}


def _powers(order: int) -> Matrix:
    """Return (order + 1, order + 1) coefficients of the powers of t in each polynomial of the basis."""
    if order not in _TABLES:
        table = np.zeros((order + 1, order + 1))
        table[0, 0] = 1.0
        if order:
            table[1, :2] = -1.0, 2.0
        for degree in range(1, order):
            shifted = 2.0 * np.roll(table[degree], 1) - table[degree]
            table[degree + 1] = ((2 * degree + 1) * shifted - degree * table[degree - 1]) / (degree + 1)
        _TABLES[order] = table
    return _TABLES[order]


def _inverse(gram: Matrix) -> Matrix:
    scale = 1.0 / np.sqrt(np.diag(gram))
    if not np.isfinite(scale).all() or np.linalg.eigvalsh(gram * np.outer(scale, scale))[0] < _SINGULAR:
        raise UnusableData(Message("rd.too-few-values"))
    return np.asarray(np.linalg.inv(gram * np.outer(scale, scale)) * np.outer(scale, scale))
