"""Which rows an estimator uses: those that are complete in its roles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Vector

__all__ = ["Sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows complete in some roles.

    Attributes:
        total: rows of the data.
        n: rows used.
        index: (n,) their positions, ascending; None where every row is used.
    """

    total: int
    n: int
    index: NDArray[np.intp] | None

    def take[Scalar: np.generic](self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """These rows of an array; the array itself where every row is used."""
        return array if self.index is None else array[self.index]

    def scatter(self, values: Vector, fill: float = 0.0) -> Vector:
        """(total,) the values at their rows and `fill` elsewhere."""
        if self.index is None:
            return values
        full = np.full(self.total, fill)
        full[self.index] = values
        return full
