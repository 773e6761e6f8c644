"""The contributions of a cohort's units to group-time effects, stored as two low-rank factors.

Contributions to averages over many effects then need no more memory than the data themselves.
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
        cells: (k,) the effects to which they contribute, ascending.
        left: (k, m); None for the identity on the rows of `right` without the last.
        right: (m, units); its last row holds the units' weights.
        square: (m, m) `right` times its transpose; None where that is larger than needed.
    """

    cells: NDArray[np.intp]
    left: Matrix | None
    right: Matrix
    square: Matrix | None

    def combined(self, weights: Matrix, by_size: Vector) -> Matrix:
        """Return (a, m) such that its product with `right` is the contributions to (a, cells) weighted effects.

        Args:
            weights: of the effects.
            by_size: (a,) additional contribution of a unit's weight.
        """
        own = weights[:, self.cells]
        left = np.zeros((len(own), len(self.right)))
        left[:, : -1 if self.left is None else None] = own if self.left is None else own @ self.left
        left[:, -1] += by_size
        return left


def part_of(cells: NDArray[np.intp], left: Matrix | None, right: Matrix) -> Part:
    """Return the part of these factors, as `Part` describes them."""
    return Part(cells=cells, left=left, right=right, square=right @ right.T if len(right) <= _MOST_SQUARED else None)
