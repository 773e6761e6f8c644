"""Rosenbaum bounds: the hidden bias in treatment assignment within matched pairs that changes a conclusion.

With the odds of treatment in a pair at most Γ times those of its other row, the chance that a pair's difference is
positive, had treatment no effect, lies between 1/(1 + Γ) and Γ/(1 + Γ): Wilcoxon's signed-rank statistic and the
estimate of Hodges and Lehmann then have bounds (Rosenbaum 2002, Observational Studies, section 4.3, doi
10.1007/978-1-4757-3692-2). Both Γ at which a conclusion changes follow in closed form. Checked against the published
table of the study of lead in children (that of R's rbounds) and the enumerated distribution of small samples.
"""

import math
from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Vector
from cqox.estimators.numerics.quantiles import critical_value

__all__ = [
    "RankBound",
    "SignedRanks",
    "gamma_of_estimate",
    "gamma_of_test",
    "rank_bound",
    "shift_bounds",
    "signed_ranks",
]

_ENUMERATED = 400
"""Maximum number of differences for which all pairwise means are used."""

_MOST = 4_000
"""Maximum number of differences for exact quantiles."""

_SAMPLED = 200
_CLOSE = 1e-9
_NEAR = 1e-6
"""Relative precision of quantiles of more values, which are then the nearest mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRanks:
    """Wilcoxon's signed-rank statistic of the differences of matched pairs, those of 0 left out, ties at mean ranks.

    Attributes:
        pairs: differences that are not 0.
        zeros: differences that are.
        sign: 1 where the differences tend to be positive, else -1.
        statistic: the sum of the ranks of the differences of this sign.
        total, squares: the sum of all ranks and of their squares.
    """

    pairs: int
    zeros: int
    sign: int
    statistic: float
    total: float
    squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankBound:
    """The smallest and the largest one-sided p-value towards the sign of the differences under a Γ."""

    lower: float
    upper: float


def signed_ranks(differences: Vector) -> SignedRanks:
    """Return the statistic of (pairs,) differences, treated less untreated; at least one is not 0."""
    known = differences[differences != 0]
    size = np.abs(known)
    order = np.argsort(size, kind="stable")
    ordered = size[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
    counts = np.diff(np.r_[starts, len(known)])
    ranks = np.repeat(starts + (counts + 1) / 2, counts)
    total = float(ranks.sum())
    positive = float(ranks[known[order] > 0].sum())
    sign = 1 if positive >= total / 2 else -1
    return SignedRanks(
        pairs=len(known),
        zeros=len(differences) - len(known),
        sign=sign,
        statistic=positive if sign > 0 else total - positive,
        total=total,
        squares=float(ranks @ ranks),
    )


def rank_bound(ranks: SignedRanks, gamma: float) -> RankBound:
    """Return the range of p-values under hidden bias of at most Γ ≥ 1, by the uncorrected normal approximation."""
    p = gamma / (1 + gamma)
    spread = math.sqrt(ranks.squares * p * (1 - p))

    def beyond(chance: float) -> float:
        return 0.5 * math.erfc((ranks.statistic - chance * ranks.total) / spread / math.sqrt(2))

    return RankBound(lower=beyond(1 - p), upper=beyond(p))


def gamma_of_test(ranks: SignedRanks, alpha: float) -> float | None:
    """Return the smallest Γ at which the two-sided test at level alpha may not reject; None if it does not at Γ = 1.

    Infinite where every difference has the same sign and no Γ suffices.
    """
    z = critical_value(alpha, None)
    # (T - p Σr)² = z² p(1 - p) Σr², the root with T above its mean.
    a = ranks.total**2 + z**2 * ranks.squares
    b = 2 * ranks.statistic * ranks.total + z**2 * ranks.squares
    root = math.sqrt(max(b**2 - 4 * a * ranks.statistic**2, 0.0))
    p = 2 * ranks.statistic**2 / (b + root)
    return None if p < 0.5 else math.inf if p >= 1 else p / (1 - p)


def gamma_of_estimate(ranks: SignedRanks) -> float:
    """Return the smallest Γ at which the Hodges-Lehmann estimate may be 0, infinite where none suffices."""
    against = ranks.total - ranks.statistic
    return math.inf if against <= 0 else ranks.statistic / against


def shift_bounds(differences: Vector, gammas: tuple[float, ...]) -> list[tuple[float, float]]:
    """Return the smallest and the largest Hodges-Lehmann estimate under each Γ.

    They are quantiles of the means of all pairs of differences: the estimate is the effect at which the rank statistic
    of the adjusted differences equals its expectation. For many pairs, means of short runs of the sorted differences
    replace them, which changes a bound by less than a hundredth of its standard error.
    """
    ordered = np.sort(differences)
    if len(ordered) > _MOST:
        edges = np.arange(0, len(ordered), -(-len(ordered) // _MOST))
        ordered = np.add.reduceat(ordered, edges) / np.diff(np.append(edges, len(ordered)))
    find = _Means(ordered)
    found = {}
    for share in {each for gamma in gammas for each in (gamma / (1 + gamma), 1 / (1 + gamma))}:
        found[share] = find.quantile(share)
    return [(found[1 / (1 + gamma)], found[gamma / (1 + gamma)]) for gamma in gammas]


class _Means:
    """Means of all pairs of sorted differences, each with itself included; their quantiles."""

    def __init__(self, ordered: Vector) -> None:
        self._ordered = ordered
        self._whole = len(ordered) <= _ENUMERATED
        some = ordered if self._whole else ordered[:: len(ordered) // _SAMPLED]
        first, second = np.triu_indices(len(some))
        self._means = np.sort((some[first] + some[second]) / 2)

    def quantile(self, share: float) -> float:
        """Return the value with this share of the means below it; of few, halfway between two values."""
        if self._whole:
            return _between(self._means, share)
        wanted = share * len(self._ordered) * (len(self._ordered) + 1) / 2
        left, below, right, above = self._bracket(share, wanted)
        width = float(self._ordered[-1] - self._ordered[0])
        step, side = 0, 0
        while right - left > _CLOSE * width and above - below > max(_NEAR * wanted, 0.5):
            # Interpolation errs by the square of the bracket where the means are dense: a step of that size beyond it
            # moves the other end, too. Bisection passes the steps that ties make.
            part = 0.5 if step % 4 == 3 else (wanted - below) / (above - below)
            part += side * (step % 4 == 1) * min(0.1, 5 * (right - left) / width)
            middle = left + min(max(part, 1e-4), 1 - 1e-4) * (right - left)
            count = self._below(middle)
            if count < wanted:
                left, below, side = middle, count, 1
            else:
                right, above, side = middle, count, -1
            step += 1
        return self._nearest(0.5 * (left + right))

    def _bracket(self, share: float, wanted: float) -> tuple[float, float, float, float]:
        """Return two values around the quantile, each followed by the number of means below it."""
        spread = 0.004
        while spread < 0.5:
            left = _between(self._means, max(share - spread, 0.0))
            right = _between(self._means, min(share + spread, 1.0))
            below, above = self._below(left), self._below(right)
            if below < wanted <= above:
                return left, below, right, above
            spread *= 4
        size = len(self._ordered) * (len(self._ordered) + 1) / 2
        first, last = float(self._ordered[0]), float(self._ordered[-1])
        return first, 0.0, last + _CLOSE * (last - first), size

    def _below(self, value: float) -> float:
        """Return the number of means below a value."""
        # The smaller of a pair below a value is below it; its larger partners begin at itself.
        smaller = self._ordered[: np.searchsorted(self._ordered, value)]
        partners = np.searchsorted(self._ordered, 2 * value - smaller)
        return float(partners.sum() - len(smaller) * (len(smaller) - 1) // 2)

    def _nearest(self, value: float) -> float:
        """Return the mean nearest to a value."""
        ordered, last = self._ordered, len(self._ordered) - 1
        other = 2 * value - ordered
        place = np.searchsorted(ordered, other)
        means = [(ordered + ordered[np.clip(place + shift, 0, last)]) / 2 for shift in (-1, 0)]
        return float(min((each[np.abs(each - value).argmin()] for each in means), key=lambda mean: abs(mean - value)))


def _between(ordered: Vector, share: float) -> float:
    place = share * len(ordered)
    whole = round(place)
    if abs(place - whole) < 1e-9 * max(place, 1.0):
        low, high = ordered[max(whole - 1, 0)], ordered[min(whole, len(ordered) - 1)]
        return float(0.5 * (low + high))
    return float(ordered[min(math.floor(place), len(ordered) - 1)])
