"""The sums that estimators ask of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.moments.expressions import Column, Expr

__all__ = ["Groups", "Moments", "Totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Cross-products within groups of rows.

    Attributes:
        keys: (g, b) values of the grouping expressions, in ascending order.
        counts: (g,) rows.
        products: (g, m, m) weighted cross-products.
    """

    keys: NDArray[np.float64]
    counts: Vector
    products: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over rows.

    Attributes:
        sums: (s,) of the values asked for.
        largest: (l,) largest values of the expressions asked for; NaN without a row.
    """

    sums: Vector
    largest: Vector


class Moments(Protocol):
    """A table of which only sums are known, and the few columns that are read.

    Rows in which an expression is missing must be left out with `where` before they are summed. Each method reads the
    table once. Cancellation and errors of an engine pass through as they are.
    """

    @property
    def name(self) -> str:
        """The engine and its version, for the provenance of a report."""
        ...

    def where(self, condition: Expr) -> Self:
        """Return the rows in which a condition is 1."""
        ...

    def count(self) -> int:
        """Return the number of rows."""
        ...

    def gram(self, columns: Sequence[Expr], by: Sequence[Expr] = (), weight: Expr | None = None) -> Groups:
        """Return the cross-products of m columns within the groups of some expressions that are numbers.

        Args:
            columns: the m columns.
            by: expressions whose values make the groups; one group of all rows where there are none.
            weight: of each row; 1 where None.
        """
        ...

    def sums(self, values: Sequence[Expr], largest: Sequence[Expr] = ()) -> Totals:
        """Return the sums of some values, and the largest of others, over all rows."""
        ...

    def grouped(self, values: Sequence[Expr], by: Sequence[Expr]) -> Matrix:
        """Return (g, b + 1 + v) for each group: the numbers that make it, its rows, and the sums of the values within
        it; groups ascend.

        Args:
            values: the v values.
            by: the b expressions; a column that is no number is numbered from 0 in any order.
        """
        ...

    def squares(self, values: Sequence[Expr], within: Sequence[Expr]) -> tuple[Vector, int]:
        """Return (v,) the sums over groups of the squared sums of values within each, and the number of groups.

        Args:
            values: the v values.
            within: expressions, or columns of any type, that make the groups.
        """
        ...

    def fetch(self, columns: Mapping[str, Expr], key: Expr, below: float) -> Mapping[str, Vector]:
        """Return some columns of the rows whose key is below a limit, in the order of the key.

        Args:
            columns: expressions by the names to return them under.
            key: a number of each row.
            below: the limit.
        """
        ...

    def rows(self, columns: Mapping[str, Expr], codes: Mapping[str, Column]) -> Mapping[str, Vector]:
        """Return some columns of all rows, in any order: for few columns of a number of rows that memory holds.

        Args:
            columns: expressions by the names to return them under; NaN where a value is missing.
            codes: columns of any type by other names: the place of a row's value in the order of all values of these
                rows, from any number on; NaN where it is missing.
        """
        ...
