"""Rows of a table of which only sums are known: complete cases, standardised columns, clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.inference.clusters import FEW_CLUSTERS
from cqox.estimators.numerics.frame import Crossed
from cqox.estimators.numerics.moments import Column, Constant, Expr, Moments, linear
from cqox.estimators.sample import Sample

__all__ = ["ONE", "Clustering", "Complete", "SummedFrame"]

ONE = Constant(1.0)
"""The column of ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The complete cases of some roles.

    Attributes:
        known: the expressions with gaps that have none here.
        source: their rows.
        pilot: the complete cases of the sample in memory.
        compared: those of them in which arms are compared; None for all.
    """

    known: frozenset[Expr]
    source: Moments
    pilot: Sample
    compared: Moments | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummedFrame(Crossed):
    """Standardised columns of a table's rows.

    Attributes:
        rows: the rows.
        columns: (m) expressions of the columns, ones first.
        weight: of each row, 1 on average; None for equal weights.
    """

    rows: Complete
    columns: tuple[Expr, ...]
    weight: Expr | None

    def combined(self, coefficients: NDArray[np.float64]) -> Expr:
        """Return a combination of the columns, from its (m,) or, for `x` alone, (k,) coefficients."""
        terms = list(zip(coefficients.tolist(), self.columns, strict=False))
        constant = terms[0][0] if self.columns[0] == ONE else 0.0
        return linear(terms[1:] if self.columns[0] == ONE else terms, constant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The clusters of some rows.

    Attributes:
        within: one tuple of columns for each set of clusters of the inclusion and exclusion, with its sign.
        counts: number of clusters of each single dimension.
        mapped: True if the mapping names them; else they are the units, each of several rows.
        whole_arms: False where some rows belong to no arm, so that there are no sums by cluster and arm.
        by_arm: clusters of each arm in the dimension with the fewest; None where there are no arms.
    """

    within: tuple[tuple[float, tuple[Column, ...]], ...] = ()
    counts: tuple[int, ...] = ()
    mapped: bool = True
    whole_arms: bool = True
    by_arm: ClustersByArm | None = None

    @property
    def codes(self) -> tuple[int, ...]:
        """One entry for each dimension."""
        return self.counts

    @property
    def fewest(self) -> int:
        """The number of clusters in the dimension with the fewest; 0 without clusters."""
        return min(self.counts, default=0)

    @property
    def needs_cells(self) -> bool:
        """True if an error needs the sums by cluster and arm: one dimension, and few clusters in all or in an arm."""
        doubt = self.by_arm is not None and self.by_arm.doubt() is not None
        return self.whole_arms and len(self.counts) == 1 and (0 < self.fewest < FEW_CLUSTERS or doubt)
