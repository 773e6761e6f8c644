"""Unit and period weights of synthetic control, its ridge augmentation and synthetic difference in differences.

Outcomes are donors by periods; a target is the mean path of the treated units. This module knows no data or plans.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.simplex import nearest_in_simplex

__all__ = [
    "DoubleWeights",
    "Penalties",
    "Weigh",
    "augmented_weights",
    "cross_validated_ridge",
    "double_difference",
    "double_weights",
    "penalties",
    "simplex_weights",
]

type Weigh = Callable[[Matrix, Vector], Vector]
"""Maps (donors, periods) outcomes and a (periods,) target to (donors,) weights that sum to 1."""

_RIDGES, _SMALLEST_RIDGE = 21, 1e-8
_MOST_HELD_OUT = 60


def simplex_weights(donors: Matrix, target: Vector) -> Vector:
    """Return the simplex weights whose sum of donors is nearest to the target (Abadie et al. 2010, equation 4)."""
    return nearest_in_simplex(donors.T, target).weights


def augmented_weights(donors: Matrix, target: Vector, ridge: float) -> Vector:
    """Return simplex weights with the imbalance corrected by ridge regression, some maybe negative (Ben-Michael et
    al.).

    Ben-Michael et al. 2021, lemma 1.
    """
    weights = simplex_weights(donors, target)
    centred = donors - donors.mean(axis=0)
    missed = target - weights @ donors
    if len(donors) < len(target):
        system = centred @ centred.T
        system.flat[:: len(system) + 1] += ridge
        return np.asarray(weights + np.linalg.solve(system, centred @ missed))
    system = centred.T @ centred
    system.flat[:: len(system) + 1] += ridge
    return np.asarray(weights + centred @ np.linalg.solve(system, missed))


def _ridge_solution(centred: Matrix, missed: Vector, ridges: Vector) -> Matrix:
    """Return (periods, ridges) solutions b of (X'X + λI)b = missed for each λ."""
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    # Directions without variation of the donors are left out: multiplied by the donors they are zero.
    return np.asarray(directions.T @ ((directions @ missed)[:, None] / (lengths[:, None] ** 2 + ridges)))


def cross_validated_ridge(donors: Matrix, target: Vector) -> float:
    """Return the largest ridge within one standard error of the least cross-validation error (augsynth)."""
    periods = donors.shape[1]
    largest = float(np.linalg.norm(donors - donors.mean(axis=0), 2)) ** 2
    if periods < 3 or not largest > 0:
        return largest or 1.0
    ridges = largest * _SMALLEST_RIDGE ** np.linspace(0, 1, _RIDGES)
    held = np.unique(np.linspace(0, periods - 1, min(periods, _MOST_HELD_OUT)).round().astype(np.intp))
    errors = np.empty((len(held), _RIDGES))
    for place, period in enumerate(held):
        others = np.arange(periods) != period
        known, centred = donors[:, others], donors[:, others] - donors[:, others].mean(axis=0)
        weights = simplex_weights(known, target[others])
        added = centred @ _ridge_solution(centred, target[others] - weights @ known, ridges)
        errors[place] = target[period] - (weights[:, None] + added).T @ donors[:, period]
    squares = errors**2
    means = squares.mean(axis=0)
    best = int(np.argmin(means))
    spread = float(squares[:, best].std(ddof=1)) / np.sqrt(len(held))
    return float(ridges[np.flatnonzero(means <= means[best] + spread)[0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """The regularisation of the weights (Arkhangelsky et al. 2021, section II).

    Attributes:
        unit: ζ of the unit weights, in units of the outcome.
        time: ζ of the period weights.
        noise: the standard deviation of the donors' first differences before treatment.
    """

    unit: float
    time: float
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleWeights:
    """Weights of a synthetic difference in differences.

    Attributes:
        unit: (donors,) of the untreated units.
        time: (periods before,) of the periods before treatment.
    """

    unit: Vector
    time: Vector


def penalties(donors: Matrix, before: int, treated: int) -> Penalties:
    """Return the paper's penalties, for the number of treated units and of periods after the start."""
    steps = np.diff(donors[:, :before], axis=1)
    noise = float(steps.std(ddof=1)) if steps.size > 1 else 0.0
    return Penalties(unit=(treated * (donors.shape[1] - before)) ** 0.25 * noise, time=1e-6 * noise, noise=noise)


def double_weights(donors: Matrix, target: Vector, before: int, penalty: Penalties) -> DoubleWeights:
    """Return weights of units with a path parallel to the target's, and of periods that predict the later ones.

    Both have an intercept (equations 4 and 6), which subtracting means provides.
    """
    past = donors[:, :before]
    level = past - past.mean(axis=1, keepdims=True)
    unit = nearest_in_simplex(level.T, target[:before] - target[:before].mean(), ridge=penalty.unit**2 * before)
    later = donors[:, before:].mean(axis=1)
    time = nearest_in_simplex(past - past.mean(axis=0), later - later.mean(), ridge=penalty.time**2 * len(donors))
    return DoubleWeights(unit=unit.weights, time=time.weights)


def double_difference(donors: Matrix, target: Vector, before: int, weights: DoubleWeights) -> float:
    """Return the target's change from the weighted past less that of the weighted donors (equation 1)."""
    path = target - weights.unit @ donors
    return float(path[before:].mean() - weights.time @ path[:before])
