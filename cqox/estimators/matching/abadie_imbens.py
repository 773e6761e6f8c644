"""Matching estimators with replacement, and their Abadie-Imbens standard errors.

A row's missing outcome is imputed by the mean of its matches, ties with the last of them included. With K the sum of a
row's shares in the means of others, and K' the sum of their squares, the variance of the estimate is that of the rows'
effects plus, for rows used as matches, (K² + 2K - K')σ² if they were matched themselves and (K² - K')σ² if not (Abadie
and Imbens 2006, doi:10.1111/j.1468-0262.2006.00655.x; with ties, Abadie, Drukker, Herr and Imbens 2004, Stata Journal
4). An estimated score changes it once more (2016, doi:10.3982/ECTA11293).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.logit import Logit
from cqox.estimators.numerics.neighbors import Arm, Neighbors, Search, other_arm

__all__ = [
    "BOTH",
    "SIGNS",
    "Arms",
    "Matched",
    "Pair",
    "averages",
    "matched",
    "matching_degrees",
    "matching_variance",
    "outcome_variances",
    "score_adjustment",
]

BOTH: tuple[Arm, Arm] = (0, 1)
SIGNS: tuple[float, float] = (-1.0, 1.0)
"""Weight of a row's own outcome in its effect, by arm."""

type Pair = tuple[Vector, Vector]
"""One vector for the untreated rows and one for the treated."""

type Marks = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""The same for booleans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """The rows of a sample by arm.

    Attributes:
        rows: positions of the untreated and of the treated rows, ascending.
        y: their outcomes, centred and scaled.
        scale: such that an effect is scale · standardised.
    """

    rows: tuple[NDArray[np.intp], NDArray[np.intp]]
    y: Pair
    scale: float

    @property
    def n(self) -> int:
        """Number of rows of both arms."""
        return len(self.rows[0]) + len(self.rows[1])

    def together(self, values: Pair) -> Vector:
        """Return (n,) values of both arms, by row of the sample."""
        result = np.empty(self.n)
        for rows, own in zip(self.rows, values, strict=True):
            result[rows] = own
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The matched sets.

    Attributes:
        sets: by arm whose rows were matched, the matches of its rows.
        kept: True if a row has a match; False where it was not to be matched.
        usage: K of each row.
        squares: K' of each row.
        used: True if a row is a match of another.
    """

    sets: Mapping[Arm, Neighbors]
    kept: Marks
    usage: Pair
    squares: Pair
    used: Marks

    @property
    def n(self) -> float:
        """Number of rows that have a match, over which effects are averaged."""
        return float(self.kept[0].sum() + self.kept[1].sum())


def matched(search: Search, arms: Arms, queries: Sequence[Arm], least: int, within: float | None = None) -> Matched:
    """Return the matches of the rows of some arms in the other arm."""
    usage, squares = ([np.zeros(len(y)) for y in arms.y] for _ in range(2))
    kept, used = ([np.zeros(len(y), dtype=np.bool_) for y in arms.y] for _ in range(2))
    sets: dict[Arm, Neighbors] = {}
    for query in queries:
        other = other_arm(query)
        sets[query] = found = search.nearest(query, other, least, within=within)
        share = _per(1.0, found.counts)
        kept[query] = share > 0
        usage[other] = found.spread(share)
        used[other] = found.spread(np.ones_like(share)) > 0
        squares[other] = found.spread(np.square(share, out=share))
    return Matched(
        sets=sets,
        kept=(kept[0], kept[1]),
        usage=(usage[0], usage[1]),
        squares=(squares[0], squares[1]),
        used=(used[0], used[1]),
    )


def averages(found: Neighbors, values: Vector) -> Vector:
    """Return (queries,) means of (targets,) values over each set, 0 where it is empty."""
    return found.sums(values) * _per(1.0, found.counts)


def matching_variance(match: Matched, effects: Pair, value: float, variances: Pair) -> float:
    """Return the variance of the mean effect of the matched rows, for known distances.

    Args:
        match: the matched sets.
        effects: of each row, its outcome less the mean of its matches or the reverse; ignored without a match.
        value: their mean.
        variances: conditional variance of each row's outcome, needed where a row is used.
    """
    total = 0.0
    for arm in BOTH:
        off = effects[arm] - value
        total += float(match.kept[arm].astype(np.float64) @ np.square(off, out=off))
        total += float(_standing(match, arm) @ variances[arm])
    return total / match.n**2


def _standing(match: Matched, arm: Arm) -> Vector:
    """Return the weights of the conditional variances of an arm's outcomes: K² - K', and 2K more if matched."""
    kept, usage = match.kept[arm].astype(np.float64), match.usage[arm]
    standing = usage * usage
    standing -= match.squares[arm]
    kept *= usage
    kept *= 2
    standing += kept
    return standing


def matching_degrees(match: Matched, variances: Pair, variance: float) -> float:
    """Return Welch's degrees of freedom of a variance from `matching_variance`.

    An arm whose rows are matches counts with its share in the variance. Its sum Σaσ² of differences between neighbours
    has 2/3·(Σa)²/Σa² degrees of freedom, as the mean square successive difference of n rows has about 2n/3 (von
    Neumann, Kent, Bellinson and Hart 1941, doi 10.1214/aoms/1177731746).

    Args:
        match: the matched sets.
        variances: conditional variance of each row's outcome.
        variance: of the mean effect.
    """
    worth, left = 0.0, 1.0
    for arm in BOTH:
        standing = np.maximum(_standing(match, arm), 0.0)
        squares = float(standing @ standing)
        if squares > 0:
            share = float(standing @ variances[arm]) / match.n**2 / variance
            worth += share**2 / (float(standing.sum()) ** 2 / squares)
            left -= share
    most = match.n - 1.0
    worth += max(left, 0.0) ** 2 / most
    return min(1.0 / worth, most)


def outcome_variances(search: Search, arms: Arms, match: Matched, least: int) -> Pair:
    """Return the conditional variance of each used row's outcome, from the `least` nearest of its arm, itself
    included."""

    def variances(arm: Arm) -> Vector:
        found = search.nearest(arm, arm, least, only=match.used[arm])
        y, counts = arms.y[arm], found.counts
        mean = averages(found, y)
        spread = found.sums(y * y)
        spread -= counts * mean * mean
        np.maximum(spread, 0.0, out=spread)
        spread *= _per(1.0, counts - 1)
        return spread

    return variances(0), variances(1)


def score_adjustment(
    logit: Logit, inverse: Matrix, search: Search, arms: Arms, own: Arm | None, value: float, least: int
) -> float:
    """Return the effect of estimating the score on the variance, standardised; negative for the ATE.

    With V the variance of the logit's coefficients, that is -c'Vc for all rows (theorem 1) and -c'Vc + d'Vd for one arm
    (theorem 2), with d the derivative of the mean effect by the coefficients. Stata estimates d by matching on the
    covariates in their own units; weighting the residuals of the outcomes on the score is independent of units, and is
    consistent if the logit is correctly specified.

    Args:
        logit: the fit.
        inverse: (k, k) V.
        search: nearest-neighbour search on the score.
        arms: the rows by arm.
        own: the arm of the mean effect; all rows where None.
        value: the mean effect, standardised.
        least: number of rows by which a covariance is estimated.
    """
    e = logit.probabilities
    if own is None:
        n = arms.n
        columns = _score_slopes(search, arms, lambda target, query: _lean(arms, e, query, target == 0), least)[None]
    else:
        n = len(arms.rows[own])
        columns = _one_arm_slopes(e, search, arms, own, value, least)
    frame = logit.frame
    k = frame.at["x"].stop
    (vectors,) = frame.rows.total(lambda s: (columns[:, s] @ frame.matrix[:k, s].T,))
    forms = np.einsum("ri,ij,rj->r", vectors, inverse, vectors) / n**2
    return float(forms[1:].sum() - forms[0])


def _one_arm_slopes(e: Vector, search: Search, arms: Arms, own: Arm, value: float, least: int) -> Matrix:
    """Return (2, n) whose products with the covariates are the c and the d of `score_adjustment` for one arm."""

    def share(target: Arm, query: Arm) -> Vector:
        lean = _lean(arms, e, query, own == 1)
        return lean * (1 - lean) if target == own else lean**2

    columns = np.empty((2, arms.n))
    columns[0] = _score_slopes(search, arms, share, least)
    control, treated = _smoothed(search, arms, least)
    np.subtract(treated, control, out=columns[1])
    columns[1] -= value
    columns[1] *= e * (1 - e)
    columns[0] += SIGNS[own] * columns[1]
    for arm, mean in zip(BOTH, (control, treated), strict=True):
        rows = arms.rows[arm]
        columns[1, rows] += (1 - e[rows] if arm else -e[rows]) * (arms.y[arm] - mean[rows])
    return columns


def _lean(arms: Arms, e: Vector, arm: Arm, treated: bool) -> Vector:
    """Return the probabilities of the rows of an arm to be treated, or to be untreated."""
    score = e[arms.rows[arm]]
    return score if treated else np.subtract(1, score, out=score)


def _smoothed(search: Search, arms: Arms, least: int) -> Pair:
    """Return (n,) mean outcomes of the untreated and the treated with the nearest scores, the row itself left out."""

    def means(arm: Arm) -> Vector:
        own = search.nearest(arm, arm, least + 1)
        without = (own.sums(arms.y[arm]) - arms.y[arm]) * _per(1.0, own.counts - 1)
        others = averages(search.nearest(other_arm(arm), arm, least), arms.y[arm])
        return arms.together((others, without) if arm else (without, others))

    return means(0), means(1)


def _score_slopes(search: Search, arms: Arms, share: Callable[[Arm, Arm], Vector], least: int) -> Vector:
    """Return (n,) whose products with any covariates sum to Σ over rows of share · their covariance with the outcome.

    The covariance at a row is that of the `least` rows of an arm with the nearest scores, including the row itself in
    its own arm; `share` gives, for the covariances in its first argument, those of the rows of its second.
    """

    def slopes(target: Arm) -> Vector:
        y, total = arms.y[target], np.zeros(len(arms.y[target]))
        for query in BOTH:
            found = search.nearest(query, target, least)
            each = share(target, query)
            each *= _per(1.0, found.counts - 1)
            total += y * found.spread(each) - found.spread(each * averages(found, y))
        return total

    return arms.together((slopes(0), slopes(1)))


def _per(numerator: float, counts: Vector) -> Vector:
    """Return the quotient where counts are positive, else 0."""
    return np.divide(numerator, counts, out=np.zeros_like(counts), where=counts > 0)
