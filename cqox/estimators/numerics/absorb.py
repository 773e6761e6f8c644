"""Exact absorption of fixed effects from columns, without dummy variables.

The effect with the most levels is removed by group means. The remaining effects need a linear system of their own size,
solved directly where it is small and by conjugate gradients where it is not. There are no alternating projections, and
so no convergence tolerance of theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector

__all__ = ["Absorption", "absorb", "compress", "is_nested"]

_DENSE_CELLS = 20_000_000
_DENSE_LEVELS = 1_500
_ITERATIONS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorption:
    """The absorbed fixed effects.

    Attributes:
        codes: each effect's (n,) codes, numbered without gaps.
        levels: number of levels of each.
    """

    codes: tuple[Codes, ...]
    levels: tuple[int, ...]

    @property
    def degrees(self) -> int:
        """The degrees of freedom of the effects: all levels, less one for each effect after the first."""
        return sum(self.levels) - (len(self.levels) - 1)

    def degrees_not_nested(self, clusters: Sequence[Codes]) -> int:
        """Return the degrees of freedom without effects nested in a cluster, of which only the constant counts
        (fixest)."""
        nested = [
            levels
            for codes, levels in zip(self.codes, self.levels, strict=True)
            if any(is_nested(codes, cluster, levels) for cluster in clusters)
        ]
        return self.degrees - sum(levels - 1 for levels in nested)


def compress(codes: Codes) -> tuple[Codes, int]:
    """Return the codes renumbered without gaps in their order, and the number of levels."""
    present = np.bincount(codes) > 0
    if present.all():
        return codes, len(present)
    return (np.cumsum(present) - 1)[codes], int(present.sum())


def is_nested(inner: Codes, outer: Codes, levels: int) -> bool:
    """Return whether each of the inner codes, numbered below `levels`, lies within one of the outer codes."""
    first = np.empty(levels, dtype=outer.dtype)
    first[inner] = outer
    return bool(np.all(first[inner] == outer))


def absorb(columns: Matrix, effects: Sequence[Codes], weights: Vector | None) -> Absorption:
    """Replace each row of a (k, n) matrix, in place, by its residual on the effects in a weighted least-squares fit.

    Raises:
        UnusableData: the fixed effects are numerically collinear.
    """
    coded = [compress(codes) for codes in effects]
    absorption = Absorption(codes=tuple(c for c, _ in coded), levels=tuple(levels for _, levels in coded))
    order = sorted(range(len(coded)), key=lambda effect: -absorption.levels[effect])
    first, levels = coded[order[0]]
    weight = np.ones(len(first)) if weights is None else weights
    sweep = _Sweep(first, levels, weight)
    others = [coded[effect] for effect in order[1:]]
    if not others:
        for column in columns:
            column -= sweep.means(column)[first]
        return absorption
    system = _System(sweep, others)
    for column in columns:
        column -= system.fitted(column)
    return absorption


class _Sweep:
    """Group means of the largest effect."""

    def __init__(self, codes: Codes, levels: int, weight: Vector) -> None:
        self.codes, self.levels, self.weight = codes, levels, weight
        self.total = np.bincount(codes, weight, levels)

    def means(self, column: Vector) -> Vector:
        return np.asarray(np.bincount(self.codes, self.weight * column, self.levels) / self.total)


class _System:
    """The normal equations of the other effects after the largest is absorbed."""

    def __init__(self, sweep: _Sweep, others: Sequence[tuple[Codes, int]]) -> None:
        self.sweep, self.others = sweep, others
        self.size = sum(levels for _, levels in others)
        self.diagonal = self._sums(np.ones_like(sweep.weight))
        self.dense = self.size <= _DENSE_LEVELS and sweep.levels * self.size <= _DENSE_CELLS
        if self.dense:
            self.inverse = _inverse(self._matrix())

    def fitted(self, column: Vector) -> Vector:
        """Return the (n,) fitted values of a column on all effects together."""
        means = self.sweep.means(column)
        right = self._sums(column - means[self.sweep.codes])
        other = self._spread(self.inverse @ right if self.dense else self._conjugate_gradients(right))
        return np.asarray(other + self.sweep.means(column - other)[self.sweep.codes])

    def _sums(self, column: Vector) -> Vector:
        weighted = self.sweep.weight * column
        return np.concatenate([np.bincount(codes, weighted, levels) for codes, levels in self.others])

    def _spread(self, coefficients: Vector) -> Vector:
        ends = np.cumsum([levels for _, levels in self.others])
        parts = np.split(coefficients, ends[:-1])
        total = parts[0][self.others[0][0]]
        for part, (codes, _) in zip(parts[1:], self.others[1:], strict=True):
            total = total + part[codes]
        return np.asarray(total)

    def _matrix(self) -> Matrix:
        sweep = self.sweep
        counts = [
            np.bincount(sweep.codes * levels + codes, sweep.weight, sweep.levels * levels).reshape(-1, levels)
            for codes, levels in self.others
        ]
        across = np.hstack(counts)
        own = np.diag(self.diagonal)
        starts = np.cumsum([0, *(levels for _, levels in self.others)])
        for a in range(len(self.others)):
            for b in range(a + 1, len(self.others)):
                (left, m), (right, k) = self.others[a], self.others[b]
                cells = np.bincount(left * k + right, sweep.weight, m * k).reshape(m, k)
                own[starts[a] : starts[a] + m, starts[b] : starts[b] + k] = cells
                own[starts[b] : starts[b] + k, starts[a] : starts[a] + m] = cells.T
        return np.asarray(own - across.T @ (across / sweep.total[:, None]))

    def _conjugate_gradients(self, right: Vector) -> Vector:
        """Return the solution for one right-hand side; the system is consistent, so its null space is harmless."""
        solution, residual = np.zeros_like(right), right.copy()
        scaled = residual / self.diagonal
        direction, power = scaled, float(residual @ scaled)
        enough = 1e-26 * power
        for _ in range(_ITERATIONS):
            if power <= enough:
                return solution
            spread = self._spread(direction)
            image = self._sums(spread - self.sweep.means(spread)[self.sweep.codes])
            step = power / float(direction @ image)
            solution = solution + step * direction
            residual = residual - step * image
            scaled = residual / self.diagonal
            power, last = float(residual @ scaled), power
            direction = scaled + (power / last) * direction
        raise UnusableData(Message("numerics.collinear-effects"))


def _inverse(matrix: Matrix) -> Matrix:
    """Return a generalised inverse of a singular positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    large = values > 1e-11 * values[-1]
    return np.asarray((vectors[:, large] / values[large]) @ vectors[:, large].T)
