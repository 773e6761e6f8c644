"""Degrees of freedom of effects over time with few treated or few comparison units, or clusters of them.

With 3 of 40 units treated, nearly all of the variance is that of the 3, and is estimated from three numbers. Standard
errors stay as in other programs. With fewer than 10 clusters on one side and `se` at its default, the t distribution
has the smallest degrees of freedom that Welch's formula can give for the two sides, for any shares of the variance:
those of the side with the smaller effective number (`cluster_arms`).

The shares are not estimated, unlike for the jackknife. Residual variances of n clusters are too small by (n-1)/n, which
the error does not correct; where few clusters happen to be similar, and the interval is too short, their estimated
share would be small and the degrees of freedom too many.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Settings, Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm, clusters_by_arm, degrees_by_arm
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.panel.cohorts import Staggered
from cqox.estimators.panel.onsets import LATEST
from cqox.estimators.panel.unit_errors import cluster_members

__all__ = ["UnitDegrees", "by_cluster", "degrees_of_freedom", "degrees_of_units", "with_degrees"]


def by_cluster(settings: Settings, clusters: Clusters) -> bool:
    """Return whether errors may be correlated within clusters, or within units where no cluster is mapped."""
    return settings.se in ("auto", "CRV1", "CRV3") and bool(clusters.codes)


def degrees_of_freedom(settings: Settings, clusters: Clusters) -> float | None:
    """Return the default degrees of freedom if neither side has few clusters; None for the normal."""
    return float(clusters.fewest - 1) if by_cluster(settings, clusters) and clusters.fewest > 1 else None


def degrees_of_units(
    arm_codes: Vector, clusters: Clusters, settings: Settings, *, means: int = 1
) -> tuple[float | None, list[Message]]:
    """Return the degrees of freedom of an effect and, if they are Welch's, a note that says so.

    Args:
        arm_codes: (units,) 1 where the unit is treated in the effect's sample, 0 where it is a control, -1 otherwise.
        clusters: of the units.
        settings: which standard error was asked for.
        means: number of means from which the residuals of the treated are taken; each takes one degree of freedom.
    """
    most = degrees_of_freedom(settings, clusters)
    by_arm = clusters_by_arm(clusters.codes, arm_codes) if _allows(settings, clusters) else None
    if most is None or by_arm is None or by_arm.doubt() is None:
        return most, []
    words = Message("panel.clusters") if clusters.mapped else Message("panel.units")
    found = _fewest(arm_codes, clusters, (by_arm.treated - means) / max(by_arm.treated - 1, 1))
    if found is None or found >= most:
        return most, []
    return found, [Message("panel.welch-degrees-of-freedom", degrees=found, units=words, most=most)]


def _fewest(arm_codes: Vector, clusters: Clusters, left: float) -> float | None:
    """Return the smallest degrees of freedom of Welch's formula: those with all of the variance on one side.

    Args:
        arm_codes: as above.
        clusters: of the units.
        left: the share of the treated clusters' own degrees of freedom that remains after estimating several means.
    """
    each = list[float]()
    for arm, share in ((1, left), (0, 1.0)):
        held = np.bincount(clusters.codes[0], arm_codes == arm, clusters.counts[0]) > 0
        own = degrees_by_arm(clusters.codes[0], arm_codes, held.astype(np.float64), clusters.weights)
        if own is None:
            return None
        each.append(max(own * share, 1.0))
    return min(each)


def with_degrees(uncertainty: Uncertainty, found: tuple[float | None, list[Message]]) -> Uncertainty:
    """Return a clustered error with its degrees of freedom and their note; other errors unchanged."""
    if uncertainty.standard_error is None or not uncertainty.clustered:
        return uncertainty
    degrees, notes = found
    return replace(uncertainty, degrees=degrees, notes=(*uncertainty.notes, *notes))


class UnitDegrees:
    """Degrees of freedom of the effects of a staggered design, each by the cohorts that it compares."""

    def __init__(self, design: Staggered, clusters: Clusters, settings: Settings) -> None:
        """Set up.

        Args:
            design: the units by cohort.
            clusters: of the units.
            settings: which standard error was asked for.
        """
        self._design, self._clusters, self._settings = design, clusters, settings
        self._sizes = np.asarray([cohort.size for cohort in design.cohorts], dtype=np.int64)
        self._allows = _allows(settings, clusters)
        self._member = cluster_members(design, clusters)[0] if self._allows and clusters.mapped else None

    def of(
        self, treated: NDArray[np.bool_], compared: NDArray[np.bool_], *, means: int = 1
    ) -> tuple[float | None, list[Message]]:
        """Return the degrees of freedom of an effect and, if they are Welch's, a note that says so.

        Args:
            treated: (cohorts,) the treated cohorts of the effect.
            compared: (cohorts,) their comparison cohorts.
            means: number of means from which the residuals of the treated are taken.
        """
        others = compared & ~treated
        counted = ClustersByArm(treated=self._count(treated), untreated=self._count(others)) if self._allows else None
        if counted is None or counted.doubt() is None:
            return degrees_of_freedom(self._settings, self._clusters), []
        arm_codes = np.asarray(np.repeat(np.where(treated, 1.0, np.where(others, 0.0, -1.0)), self._sizes))
        return degrees_of_units(arm_codes, self._clusters, self._settings, means=means)

    def started(self, step: int | None = None) -> NDArray[np.bool_]:
        """Return (cohorts,) which start treatment; only those observed at these event times, if given."""
        onsets = np.asarray([cohort.onset.step for cohort in self._design.cohorts])
        start = onsets < LATEST
        return start if step is None else start & np.isin(onsets + step, self._design.steps)

    def _count(self, cohorts: NDArray[np.bool_]) -> int:
        if self._member is None:
            return int(self._sizes[cohorts].sum())
        return int(np.count_nonzero(self._member[cohorts].any(axis=0)))


def _allows(settings: Settings, clusters: Clusters) -> bool:
    """Return whether the degrees of freedom may differ from the number of clusters less 1."""
    return settings.se == "auto" and len(clusters.codes) == 1 and clusters.fewest > 1
