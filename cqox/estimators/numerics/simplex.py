"""The quadratic program of synthetic control, solved exactly: weights on the simplex that bring columns nearest to a
target.

For weights w that sum to 1 the residual Σwⱼxⱼ − b is Dw with dⱼ = xⱼ − b, so that the program is to find the shortest
vector in the convex hull of the columns of D (with a ridge, of D over √λ·I). Without the sum constraint it is a linear
complementarity problem: v ≥ 0, Gv − 1 ≥ 0, orthogonal to each other, with G = D'D + λI; and w = v/Σv. Block principal
pivoting (Júdice and Pires 1994) exchanges all infeasible variables at once. It ends after a few exchanges or not at
all; in the latter case the active set method of Lawson and Hanson, which always ends, restarts the problem.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector

__all__ = ["Simplex", "nearest_in_simplex"]

_TINY_RIDGE = 1e-8
"""Share of the columns' mean squared length: selects the most even among weights that fit equally well."""

_MOST_EXCHANGES = 30
_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Simplex:
    """Weights, and their distance from the optimum.

    Attributes:
        weights: (k,) at least 0, sum 1.
        gap: the duality gap of the program in which the columns of D have a mean squared length of 1.
        steps: changes of the active set.
        active: (k,) True where a weight is positive; a starting point for a similar program.
    """

    weights: Vector
    gap: float
    steps: int
    active: NDArray[np.bool_]


def nearest_in_simplex(
    columns: Matrix, target: Vector, *, ridge: float = 0.0, start: NDArray[np.bool_] | None = None
) -> Simplex:
    """Return the weights w of the simplex that minimise |columns·w − target|² + ridge·|w|².

    Args:
        columns: (rows, k) with k at least 1.
        target: (rows,).
        ridge: the penalty, in squared units of the columns; a tiny ridge is always added, to make w unique.
        start: (k,) a guess of the active set.
    """
    differences = columns - target[:, None]
    size = float(np.einsum("ij,ij->", differences, differences)) / differences.shape[1]
    if not size > 0:
        # The target equals all columns: every choice fits, and even weights are the shortest.
        return _even(differences.shape[1])
    differences = differences / np.sqrt(size)
    return _shortest(differences, ridge / size + _TINY_RIDGE, start)


def _even(count: int) -> Simplex:
    weights = np.full(count, 1.0 / count)
    return Simplex(weights=weights, gap=0.0, steps=0, active=np.ones(count, dtype=np.bool_))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """G = D'D + ridge·I, stored where that is cheaper than recomputing it.

    Attributes:
        d: (rows, k) the differences from the target.
        gram: (k, k) D'D; None where there are many more columns than rows.
        ridge: positive.
    """

    d: Matrix
    gram: Matrix | None
    ridge: float

    def product(self, v: Vector) -> Vector:
        """Return (k,) Gv."""
        return np.asarray((self.gram @ v if self.gram is not None else self.d.T @ (self.d @ v)) + self.ridge * v)

    def nearest(self) -> NDArray[np.bool_]:
        """Return (k,) the columns that are nearest to the target."""
        lengths = np.einsum("ij,ij->j", self.d, self.d)
        return np.asarray(lengths == lengths.min())

    def solve(self, active: NDArray[np.bool_]) -> Vector:
        """Return (k,) v with Gv = 1 over the active columns and 0 elsewhere."""
        v = np.zeros(len(active))
        v[active] = self._solve(active)
        return v

    def _solve(self, active: NDArray[np.bool_]) -> Vector:
        rows, count = self.d.shape[0], int(np.count_nonzero(active))
        chosen = self.d[:, active]
        if count > rows:
            # Solve the smaller of the two systems (Woodbury); what is subtracted is the projection of 1 on the rows.
            small = chosen @ chosen.T
            small.flat[:: rows + 1] += self.ridge
            return np.asarray((1.0 - chosen.T @ np.linalg.solve(small, chosen.sum(axis=1))) / self.ridge)
        system = chosen.T @ chosen if self.gram is None else self.gram[np.ix_(active, active)]
        system.flat[:: count + 1] += self.ridge
        return np.asarray(np.linalg.solve(system, np.ones(count)))


def _shortest(d: Matrix, ridge: float, start: NDArray[np.bool_] | None) -> Simplex:
    program = _Program(d=d, gram=d.T @ d if d.shape[1] <= max(4 * d.shape[0], 64) else None, ridge=ridge)
    active = program.nearest() if start is None or not start.any() else start.copy()
    v, steps = _by_blocks(program, active)
    if v is None:
        v, more = _one_by_one(program)
        steps += more
    weights = np.maximum(v, 0.0)
    weights /= weights.sum()
    gradient = program.product(weights)
    return Simplex(
        weights=weights, gap=float(weights @ gradient - gradient.min()), steps=steps, active=np.asarray(v > 0)
    )


def _by_blocks(program: _Program, active: NDArray[np.bool_]) -> tuple[Vector | None, int]:
    """Return v by block principal pivoting and the number of exchanges; None for v beyond the maximum number."""
    for step in range(_MOST_EXCHANGES):
        v = program.solve(active)
        slack = program.product(v) - 1.0
        wrong = np.where(active, v < 0, slack < -_precision(v))
        if not wrong.any():
            return v, step
        active = active ^ wrong
        if not active.any():
            active = program.nearest()
    return None, _MOST_EXCHANGES


def _one_by_one(program: _Program) -> tuple[Vector, int]:
    """Return v by the active set method: add the most infeasible variable, step while feasible (Lawson and Hanson)."""
    v = np.zeros(program.d.shape[1])
    active = np.zeros(len(v), dtype=np.bool_)
    for step in range(3 * len(v) + 10):
        slack = np.where(active, np.inf, program.product(v) - 1.0)
        entering = int(np.argmin(slack))
        if slack[entering] >= -_precision(v):
            return v, step
        active[entering] = True
        while True:
            goal = program.solve(active)
            falling = active & (goal <= 0)
            if not falling.any():
                break
            reach = v[falling] / np.maximum(v[falling] - goal[falling], np.finfo(np.float64).tiny)
            v = v + float(reach.min()) * (goal - v)
            gone = falling & (v <= 1e-15 * v.max(initial=0.0))
            gone[np.flatnonzero(falling)[np.argmin(reach)]] = True
            active &= ~gone
            v[~active] = 0.0
        v = goal
    return v, step


def _precision(v: Vector) -> float:
    """Return the rounding error of a slack, from cancellation in its sums."""
    return max(_TOLERANCE, 1e-14 * float(np.abs(v).sum()))
