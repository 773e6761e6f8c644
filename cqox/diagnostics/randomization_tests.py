"""Tests that a covariate has nothing to do with an assigned variable, by the distribution of the assignment.

Amounts are compared by ranks and categories by counts. Within strata the statistic sums the covariance of the scores
with the assigned values, and its variance is that over all permutations within the strata: Wilcoxon's test corrected
for ties, Spearman's for an assigned amount, van Elteren's in several strata (scores are ranks over n + 1), and Mantel
and Haenszel's general association of categories (Landis, Heyman and Koch 1978, doi 10.2307/1402373). With few expected
in a cell the test is exact, as a normal tail is too light for a skewed count.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Matrix, Vector
from cqox.estimators.data import Codes
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.quantiles import chi_square_survival, f_survival

__all__ = ["Assignment", "Comparison", "compare_amount", "compare_levels"]

_EXPECTED = 25
"""Expected rows of a count in the smaller arm below which its test is exact: the upper tail at .001 of a Poisson
variable of mean 25 is still 2.4 times that of the normal."""

_MERGED = 5
"""Expected rows in the smaller arm below which the levels of a category are merged (Cochran 1954)."""

_SPIKE = 0.75
"""Share of rows at one value from which on an amount counts as that value or another, if others are few."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The rows' assigned values, and how they may differ by chance; what every test of them needs is computed once.

    Attributes:
        values: (n,) 0/1, or amounts.
        strata: (n,) codes of the strata within which values were assigned.
        chance: (n,) known probability of the value 1; None where values are permuted.
        groups: (n,) codes of groups within which values may be correlated; None for rows that are assigned alone.
    """

    values: Vector
    strata: Codes
    chance: Vector | None = None
    groups: Codes | None = None

    def rows(self, kept: NDArray[np.bool_]) -> "Assignment":
        """Return the assignment of some rows."""
        return Assignment(
            values=self.values[kept], strata=compress(self.strata[kept])[0],
            chance=None if self.chance is None else self.chance[kept],
            groups=None if self.groups is None else compress(self.groups[kept])[0],
        )  # fmt: skip

    @property
    def permutes(self) -> bool:
        """True if the values of a stratum were as likely in any other order."""
        return self.chance is None and self.groups is None

    @cached_property
    def is_binary(self) -> bool:
        """True if the values are 0 and 1."""
        return bool(((self.values == 0.0) | (self.values == 1.0)).all())

    @cached_property
    def smaller_share(self) -> float:
        """Share of the rarer of two values; 1/2 for amounts."""
        if not self.is_binary:
            return 0.5
        share = float(self.values.mean())
        return min(share, 1.0 - share)

    @cached_property
    def stratified(self) -> bool:
        """True if there are several strata."""
        return bool(self.strata.any())

    @cached_property
    def moves(self) -> Vector:
        """(n,) values, ranks of amounts, less what was expected of them."""
        values = self.values if self.is_binary else _ranks(self.values, self, np.argsort(self.values))
        return values - (_means(values[:, None], self)[:, 0] if self.chance is None else self.chance)

    @cached_property
    def variances(self) -> Vector:
        """(n,) variance of the value of each row: that of a known probability, or of its stratum by n - 1."""
        if self.chance is not None:
            return self.chance * (1.0 - self.chance)
        sizes, squares = np.bincount(self.strata), np.bincount(self.strata, self.moves * self.moves)
        return np.asarray((squares / np.maximum(sizes - 1, 1))[self.strata])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One test.

    Attributes:
        kind: ranks, levels, or exact counts.
        p_value: two-sided.
    """

    kind: str
    p_value: float


def compare_amount(x: Vector, assigned: Assignment) -> Comparison | None:
    """Test an amount by its ranks; None where nothing varies within a stratum.

    Args:
        x: (n,) the covariate, NaN where missing.
        assigned: of the same rows.
    """
    known = np.isfinite(x)
    if not known.all():
        x, assigned = x[known], assigned.rows(known)
    if not len(x):
        return None
    low, high = float(x.min()), float(x.max())
    if not low < high:
        return None
    top = x == high
    if (top | (x == low)).all():
        return _of_counts(top[:, None].astype(np.float64), assigned, "levels")
    order = np.argsort(x)
    spike = _spike(x, x[order], assigned)
    if spike is not None:
        return _of_counts(spike[:, None], assigned, "levels")
    return _of_scores(_ranks(x, assigned, order)[:, None], assigned, "ranks")


def compare_levels(dummies: Matrix, assigned: Assignment) -> Comparison | None:
    """Test the levels of a category jointly; None where nothing varies within a stratum.

    Args:
        dummies: (n, k) 0/1 of its levels without the reference, NaN where missing.
        assigned: of the same rows.
    """
    known = np.isfinite(dummies).all(axis=1)
    dummies, assigned = dummies[known], assigned.rows(known)
    levels = np.column_stack([1.0 - dummies.sum(axis=1), dummies])
    expected = levels.sum(axis=0) * assigned.smaller_share
    few = expected < _MERGED
    merged = [levels[:, ~few], levels[:, few].sum(axis=1, keepdims=True)] if few.any() else [levels]
    found = np.column_stack(merged)
    found = found[:, found.any(axis=0)]
    if found.shape[1] < 2:
        return None
    return _of_counts(found[:, 1:], assigned, "levels")


def _spike(x: Vector, ordered: Vector, assigned: Assignment) -> Vector | None:
    """Return (n,) whether x differs from its most frequent value, if too few rows differ for a test of ranks."""
    middle = float(ordered[len(x) // 2])
    equal = np.searchsorted(ordered, middle, side="right") - np.searchsorted(ordered, middle)
    others = len(x) - int(equal)
    if others > (1.0 - _SPIKE) * len(x) or others * assigned.smaller_share >= _EXPECTED:
        return None
    return np.asarray(x != middle, dtype=np.float64)


def _of_counts(columns: Matrix, assigned: Assignment, kind: str) -> Comparison | None:
    if columns.shape[1] == 1 and assigned.permutes and assigned.is_binary:
        ones = float(columns.mean())
        if min(ones, 1.0 - ones) * assigned.smaller_share * len(columns) < _EXPECTED:
            return _exact(columns[:, 0], assigned)
    return _of_scores(columns, assigned, kind)


def _of_scores(scores: Matrix, assigned: Assignment, kind: str) -> Comparison | None:
    centred = scores - _means(scores, assigned, None if assigned.chance is None else assigned.variances)
    if assigned.groups is not None:
        return _by_groups(centred * assigned.moves[:, None], assigned.groups, kind)
    return _wald(centred.T @ assigned.moves, centred.T @ (centred * assigned.variances[:, None]), kind)


def _wald(total: Vector, variance: Matrix, kind: str) -> Comparison | None:
    form, degrees = _quadratic_form(total, variance)
    return Comparison(kind=kind, p_value=chi_square_survival(form, degrees)) if degrees else None


def _by_groups(moved: Matrix, groups: Codes, kind: str) -> Comparison | None:
    """Test sums over groups by Hotelling's T²."""
    sums = np.column_stack([np.bincount(groups, column) for column in moved.T])
    count = len(sums)
    form, degrees = _quadratic_form(sums.sum(axis=0), sums.T @ sums * (count / max(count - 1, 1)))
    if not degrees or count <= degrees + 1:
        return None
    scale = (count - degrees) / (degrees * (count - 1))
    return Comparison(kind=kind, p_value=f_survival(form * scale, degrees, count - degrees))


def _quadratic_form(total: Vector, variance: Matrix) -> tuple[float, int]:
    """Return t'V⁻t and the rank of V."""
    scale = np.sqrt(np.diag(variance))
    used = scale > 1e-12 * max(1.0, float(scale.max(initial=0.0)))
    if not used.any():
        return 0.0, 0
    z = total[used] / scale[used]
    if len(z) == 1:
        return float(z[0] ** 2), 1
    scaled = variance[np.ix_(used, used)] / np.outer(scale[used], scale[used])
    roots, vectors = np.linalg.eigh(scaled)
    kept = roots > 1e-9 * roots[-1]
    return float(((vectors[:, kept].T @ z) ** 2 / roots[kept]).sum()), int(kept.sum())


def _means(columns: Matrix, assigned: Assignment, weights: Vector | None = None) -> Matrix:
    """Return (n, k) the mean of each row's stratum; (1, k) where there is one stratum."""
    if not assigned.stratified:
        return np.average(columns, axis=0, weights=weights, keepdims=True)
    strata = assigned.strata
    mass = np.bincount(strata, weights)
    sums = [np.bincount(strata, column if weights is None else column * weights) for column in columns.T]
    return np.column_stack([(each / mass)[strata] for each in sums])


def _ranks(x: Vector, assigned: Assignment, order: NDArray[np.intp]) -> Vector:
    """Return (n,) the mean rank of each row within its stratum, over the rows of the stratum + 1.

    Args:
        x: (n,) amounts.
        assigned: the strata.
        order: (n,) that sorts the amounts.
    """
    n = len(x)
    sizes = np.bincount(assigned.strata) if assigned.stratified else np.full(1, n)
    before = np.cumsum(sizes) - sizes
    if assigned.stratified:
        order = order[np.argsort(assigned.strata[order], kind="stable")]
    x = x[order]
    new = np.ones(n, dtype=np.bool_)
    np.not_equal(x[1:], x[:-1], out=new[1:])
    new[before[sizes > 0]] = True
    starts = np.flatnonzero(new)
    ranks = np.arange(1.0, n + 1.0)
    if len(starts) < n:
        ends = np.append(starts[1:], n)
        ranks = np.repeat((starts + ends + 1) / 2, ends - starts)
    if assigned.stratified:
        ranks -= np.repeat(before, sizes)
    result = np.empty(n)
    result[order] = ranks / (np.repeat(sizes, sizes) + 1 if assigned.stratified else n + 1)
    return result


def _exact(ones: Vector, assigned: Assignment) -> Comparison | None:
    """Test a count by the sum of its hypergeometric distributions over strata: twice the smaller tail."""
    strata, treated = assigned.strata, assigned.values
    sizes, drawn = np.bincount(strata), np.bincount(strata, treated)
    marked = np.bincount(strata, ones)
    low, chances = 0.0, np.ones(1)
    for size, draws, marks in zip(sizes, drawn, marked, strict=True):
        low += max(0.0, draws + marks - size)
        chances = np.convolve(chances, _hypergeometric(float(size), float(draws), float(marks)))
    if len(chances) < 2:
        return None
    at = round(float(ones @ treated) - low)
    tail = min(float(chances[: at + 1].sum()), float(chances[at:].sum()))
    return Comparison(kind="exact", p_value=min(2.0 * tail, 1.0))


def _hypergeometric(size: float, draws: float, marks: float) -> Vector:
    """Return the probabilities of all counts of marked rows among those drawn, from the smallest."""
    from scipy.special import gammaln

    counts = np.arange(max(0.0, draws + marks - size), min(draws, marks) + 1)

    def choose(n: float | Vector, k: float | Vector) -> Vector:
        return np.asarray(gammaln(np.add(n, 1.0)) - gammaln(np.add(k, 1.0)) - gammaln(np.subtract(n, k) + 1.0))

    logs = choose(marks, counts) + choose(size - marks, draws - counts) - choose(size, draws)
    chances = np.exp(logs - logs.max())
    return np.asarray(chances / chances.sum())
