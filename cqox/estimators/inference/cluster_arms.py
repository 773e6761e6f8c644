"""How many clusters each arm has, and what they are worth: an error rests on the arm that has fewer of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Codes, Matrix, Vector

__all__ = ["ClustersByArm", "clusters_by_arm", "degrees_by_arm"]

_FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClustersByArm:
    """How many clusters of a dimension hold treated rows, and how many hold rows that these are compared with."""

    treated: int
    untreated: int

    @property
    def fewer(self) -> int:
        """The smaller of the two."""
        return min(self.treated, self.untreated)

    @property
    def poorer(self) -> Literal["treated", "untreated"]:
        """Which of the two is the smaller."""
        return "treated" if self.treated <= self.untreated else "untreated"

    def doubt(self) -> str | None:
        """What is doubtful where there are few of an arm; None where there are enough."""
        if self.fewer >= _FEW:
            return None
        if self.fewer == 1:
            return (
                f"Only 1 cluster is {self.poorer}: how far it deviates of its own counts for nothing, so that the "
                "interval is far too narrow."
            )
        return f"Only {self.fewer} clusters are {self.poorer}: the interval rests on very few of them."

    def refusal(self) -> str | None:
        """Why there is no clustered error but by request, where an arm has a single cluster; None where it has more.

        The arm's mean is then fitted to its one cluster, whose deviation counts as 0 (MacKinnon and Webb 2017,
        Journal of Applied Econometrics 32, doi 10.1002/jae.2508).
        """
        if self.fewer != 1:
            return None
        return (
            f"Only 1 cluster is {self.poorer}: how far it deviates of its own cannot be told from the effect, so that "
            "there is no cluster-robust standard error (options.se = CRV1 takes it for nothing)."
        )


def clusters_by_arm(clusters: Sequence[Codes], exposed: Vector | None) -> ClustersByArm | None:
    """The clusters of each arm, in the dimension that has the fewest of one; None without clusters or arms.

    Args:
        clusters: (n,) codes of each dimension.
        exposed: (n,) 1 where the row is treated, 0 where it is compared with such, -1 where neither; other values are
            amounts, which have no arms.
    """
    if exposed is None or not clusters:
        return None
    treated, untreated = exposed == 1, exposed == 0
    if not (treated | untreated | (exposed == -1)).all():
        return None
    counted = [
        ClustersByArm(
            treated=int(np.count_nonzero(np.bincount(codes, treated))),
            untreated=int(np.count_nonzero(np.bincount(codes, untreated))),
        )
        for codes in clusters
    ]
    return min(counted, key=lambda each: each.fewer)


def degrees_by_arm(codes: Codes, exposed: Vector, squares: Vector, weights: Vector | None = None) -> float | None:
    """Welch's degrees of freedom of a variance that is a sum over clusters, as those of a jackknife are.

    The clusters that hold rows of an arm, and those that hold none, are two samples. The share that each has of the
    variance is taken from the data. Its own degrees of freedom are tr(C)²/tr(C²), with C the covariance of what leaving
    each of its clusters out moves the estimate by, for independent errors of equal variance and a regression on the
    arms alone: the clusters less 1 where they are of one size, and about 1 where one of them outweighs the others.

    Bell and McCaffrey 2002, Survey Methodology 28, take all clusters as one sample. Where an arm has few of them the
    variance is a sum of two parts that differ by far, which no single chi-square is like, and their interval is far too
    wide (`docs/standard-errors.md` has the coverage of both).

    Args:
        codes: (n,) of the clusters, numbered without gaps.
        exposed: (n,) 1 where the row is treated, 0 where it is compared with such, -1 where neither.
        squares: (clusters,) that sum to the variance.
        weights: (n,) sampling weights, positive; None where all rows weigh the same.

    Returns:
        The fewer where the clusters of either arm part them differently; None where each cluster holds rows of both
        arms, an arm has a single cluster, or the variance is 0.
    """
    own = np.ones(len(codes)) if weights is None else weights
    inside = [np.where(exposed == arm, own, 0.0) for arm in (0, 1)]
    mass = np.stack([np.bincount(codes, each, len(squares)) for each in inside])
    noise = mass if weights is None else np.stack([np.bincount(codes, each * each, len(squares)) for each in inside])
    total = float(squares.sum())
    if np.count_nonzero(mass, axis=1).min() < 2 or total <= 0:
        return None
    found = [_two_samples(mass, noise, squares / total, held) for held in mass > 0 if not held.all()]
    return min(found, default=None)


def _two_samples(mass: Matrix, noise: Matrix, shares: Vector, inside: NDArray[np.bool_]) -> float:
    parts = (inside, ~inside)
    return 1.0 / sum(float(shares[part].sum()) ** 2 / _own_degrees(mass, noise, part) for part in parts)


def _own_degrees(mass: Matrix, noise: Matrix, part: NDArray[np.bool_]) -> float:
    """tr(C)²/tr(C²) of some clusters, from the (2, clusters) weights of either arm's rows in each, and their squares.

    Without a cluster that has w of the weight W of an arm, and s of the sum S of its squared weights, the arm's mean
    moves by w/(W - w) times the cluster's own deviation from it. That has variance s/w² - 2s/(wW) + S/W², and
    covariance S/W² - s/(wW) - s'/(w'W) with another cluster's: C is a diagonal and four products.
    """
    whole, square = mass.sum(axis=1, keepdims=True), noise.sum(axis=1, keepdims=True)
    moved = (mass / (whole - mass))[:, part]
    shared = (noise / ((whole - mass) * whole))[:, part]
    diagonal = (noise / np.square(whole - mass)).sum(axis=0)[part]
    factors = np.concatenate([shared, moved])
    level = np.diag((square / whole**2)[:, 0])
    middle = np.block([[np.zeros((2, 2)), -np.eye(2)], [-np.eye(2), level]])
    products = np.einsum("ik,ij,jk->k", factors, middle, factors)
    crossed = factors @ factors.T @ middle
    trace = float((diagonal + products).sum())
    squared = float(diagonal @ (diagonal + 2.0 * products)) + float(np.trace(crossed @ crossed))
    # Clusters that hold rows of neither arm have no part in this. No covariance has less than 1, but by rounding.
    return max(trace**2 / squared, 1.0) if squared > 0 else 1.0
