"""The contributions of a cohort's units to effects by cohort and period, kept as two factors.

Those of averages over many effects then cost no more than the data themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector

__all__ = ["Part", "part_of"]

_MOST_SQUARED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The contributions of one cohort's units: `left @ right`.

    Attributes:
        cells: (k,) the effects that they enter, ascending.
        left: (k, m); None for one that takes the rows of `right` as they are, without the last.
        right: (m, units); its last row are the units' weights.
        square: (m, m) `right` by itself transposed; None where that is larger than needed.
    """

    cells: NDArray[np.intp]
    left: Matrix | None
    right: Matrix
    square: Matrix | None

    def combined(self, weights: Matrix, by_size: Vector) -> Matrix:
        """(a, m) such that its product with `right` are the contributions to (a, cells) weighted effects.

        Args:
            weights: of the effects.
            by_size: (a,) what a unit's weight contributes besides.
        """
        own = weights[:, self.cells]
        left = np.zeros((len(own), len(self.right)))
        left[:, : -1 if self.left is None else None] = own if self.left is None else own @ self.left
        left[:, -1] += by_size
        return left


def part_of(cells: NDArray[np.intp], left: Matrix | None, right: Matrix) -> Part:
    """The part of these factors, as `Part` describes them."""
    return Part(cells=cells, left=left, right=right, square=right @ right.T if len(right) <= _MOST_SQUARED else None)
