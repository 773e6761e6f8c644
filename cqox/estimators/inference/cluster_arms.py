"""Number and effective number of clusters in each arm: inference is limited by the arm with fewer of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.sample import ARMS

__all__ = ["ClustersByArm", "clusters_by_arm", "degrees_by_arm", "degrees_by_mass"]

_FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClustersByArm:
    """Numbers of clusters of a dimension with treated rows and with the rows that these are compared with."""

    treated: int
    untreated: int

    @property
    def fewer(self) -> int:
        """The smaller of the two numbers."""
        return min(self.treated, self.untreated)

    @property
    def poorer(self) -> Message:
        """The arm with the smaller number."""
        return ARMS[self.treated <= self.untreated]

    def doubt(self) -> Message | None:
        """Return a warning if an arm has few clusters; None otherwise."""
        if self.fewer >= _FEW:
            return None
        if self.fewer == 1:
            return Message("inference.one-cluster-in-arm", arm=self.poorer)
        return Message("inference.few-clusters-in-arm", clusters=self.fewer, arm=self.poorer)

    def refusal(self) -> Message | None:
        """Return why a clustered error is given on request only, if an arm has a single cluster; None otherwise.

        The arm's mean is then fitted to its one cluster, whose deviation counts as 0 (MacKinnon and Webb 2017,
        Journal of Applied Econometrics 32, doi 10.1002/jae.2508).
        """
        if self.fewer != 1:
            return None
        return Message("inference.no-error-with-one-cluster-in-arm", arm=self.poorer)


def clusters_by_arm(clusters: Sequence[Codes], arm_codes: Vector | None) -> ClustersByArm | None:
    """Return the clusters of each arm, in the dimension with the fewest; None without clusters or arms.

    Args:
        clusters: (n,) codes of each dimension.
        arm_codes: (n,) 1 where the row is treated, 0 where it is a control of such rows, -1 otherwise; other values are
            amounts, which have no arms.
    """
    if arm_codes is None or not clusters:
        return None
    treated, untreated = arm_codes == 1, arm_codes == 0
    if not (treated | untreated | (arm_codes == -1)).all():
        return None
    counted = [
        ClustersByArm(
            treated=int(np.count_nonzero(np.bincount(codes, treated))),
            untreated=int(np.count_nonzero(np.bincount(codes, untreated))),
        )
        for codes in clusters
    ]
    return min(counted, key=lambda each: each.fewer)


def degrees_by_arm(codes: Codes, arm_codes: Vector, squares: Vector, weights: Vector | None = None) -> float | None:
    """Return Welch's degrees of freedom of a variance that is a sum over clusters, as the jackknife's is.

    The clusters with rows of an arm, and those without, are two samples. The share of each in the variance is
    estimated. Its own degrees of freedom are tr(C)²/tr(C²), with C the covariance of the changes in the estimate when
    each of its clusters is left out, for independent errors of equal variance and a regression on the arms alone: the
    number of clusters less 1 if they are of equal size, and about 1 if one of them dominates.

    Bell and McCaffrey 2002, Survey Methodology 28, treat all clusters as one sample. If an arm has few of them, the
    variance is a sum of two terms of very different size, which no single chi-square approximates, and their interval
    is far too wide (`docs/standard-errors.md` has the coverage of both).

    Args:
        codes: (n,) of the clusters, numbered without gaps.
        arm_codes: (n,) 1 where the row is treated, 0 where it is a control of such rows, -1 otherwise.
        squares: (clusters,) that sum to the variance.
        weights: (n,) sampling weights, positive; None for equal weights.

    Returns:
        The smaller value if the clusters of the two arms split them differently; None if each cluster holds rows of
        both arms, an arm has a single cluster, or the variance is 0.
    """
    own = np.ones(len(codes)) if weights is None else weights
    inside = [np.where(arm_codes == arm, own, 0.0) for arm in (0, 1)]
    mass = np.stack([np.bincount(codes, each, len(squares)) for each in inside])
    noise = mass if weights is None else np.stack([np.bincount(codes, each * each, len(squares)) for each in inside])
    return degrees_by_mass(mass, noise, squares)


def degrees_by_mass(mass: Matrix, noise: Matrix, squares: Vector) -> float | None:
    """Return what `degrees_by_arm` returns, from the sums that it needs.

    Args:
        mass: (2, clusters) weights of each cluster's untreated and treated rows.
        noise: (2, clusters) sums of their squared weights.
        squares: (clusters,) that sum to the variance.
    """
    total = float(squares.sum())
    if np.count_nonzero(mass, axis=1).min() < 2 or total <= 0:
        return None
    found = [_two_samples(mass, noise, squares / total, held) for held in mass > 0 if not held.all()]
    return min(found, default=None)


def _two_samples(mass: Matrix, noise: Matrix, shares: Vector, inside: NDArray[np.bool_]) -> float:
    parts = (inside, ~inside)
    return 1.0 / sum(float(shares[part].sum()) ** 2 / _own_degrees(mass, noise, part) for part in parts)


def _own_degrees(mass: Matrix, noise: Matrix, part: NDArray[np.bool_]) -> float:
    """Return tr(C)²/tr(C²) of some clusters, from the (2, clusters) weights by arm in each, and their squares.

    Without a cluster that has w of the weight W of an arm, and s of the sum S of its squared weights, the arm's mean
    changes by w/(W - w) times the cluster's own deviation from it. That deviation has variance s/w² - 2s/(wW) + S/W²,
    and covariance S/W² - s/(wW) - s'/(w'W) with another cluster's: C is a diagonal matrix plus four outer products.
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
    # Clusters without rows of either arm are excluded. The degrees of freedom are at least 1, but for rounding.
    return max(trace**2 / squared, 1.0) if squared > 0 else 1.0
