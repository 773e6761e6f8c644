"""Rows of units in periods, of which only sums are known: periods, their shares of units, and columns without both
effects.

Means within units are sums of groups, subtracted in each row. Period effects follow from a system of the size of the
number of periods, for unbalanced panels too, and are subtracted in each row as well: cross-products of what is left
lose no digits to the size of the effects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.encoded import MOST_PERIODS, NotByMoments
from cqox.estimators.by_moments.summed import ONE, Complete
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.moments import Column, Constant, Expr, GroupSum, Is, Quotient, case, linear, times

__all__ = ["PanelSums", "Periods", "less_means"]

_SINGULAR = 1e-11


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """The periods of some rows.

    Attributes:
        values: (periods,) ascending.
        rows: (periods,) number of rows.
        treated: (periods,) sum of the treatment.
        code: the place of a row's period among them.
    """

    values: Vector
    rows: Vector
    treated: Vector
    code: Expr

    @classmethod
    def of(cls, tables: Tables, rows: Complete, *, treated: bool = True) -> "Periods":
        """Return the periods of some rows, after one pass over these.

        Args:
            tables: the request's shared computations.
            rows: the rows.
            treated: False for rows whose treatment may be missing; its sums are then 0.

        Raises:
            NotByMoments: no period is mapped, or there are too many.
        """
        time, codes = tables.encoded.time, tables.pilot.data.time
        few = codes is not None and len(np.unique(rows.pilot.take(codes))) <= MOST_PERIODS
        if time is None or not few:
            raise NotByMoments(Message("by_moments.many-periods", most=MOST_PERIODS))
        found = rows.source.grouped([tables.treated()] if treated else [], [time])
        values = found[:, 0]
        # Words that the sample has not share the place 0.
        if len(values) > MOST_PERIODS or (not isinstance(time, Column) and values[0] == 0):
            raise NotByMoments(Message("by_moments.many-periods", most=MOST_PERIODS))
        if (np.diff(values) == 1).all():
            code = linear([(1.0, time)], -float(values[0]))
        else:
            code = linear((float(place), Is(time, "=", value)) for place, value in enumerate(values.tolist()))
        return cls(
            values=values, rows=found[:, 1], treated=found[:, 2] if treated else np.zeros(len(values)), code=code
        )

    def among(self, values: Vector) -> Expr:
        """Return one of (periods,) numbers, by the row's period."""
        return case(self.code, *(Constant(value) for value in values.tolist()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSums:
    """Sums over the rows of units in periods.

    Attributes:
        periods: the periods.
        unit: the column of the units.
        weight: of each row; None for equal weights.
        units: number of units.
        once: number of units with one row.
        alone: number of rows that share their unit, or their period, with no other row.
        mean_weight: of the rows.
        effects: (periods, m) least-squares coefficients of the periods, given units, in m columns.
    """

    periods: Periods
    unit: Column
    weight: Expr | None
    units: int
    once: int
    alone: int
    mean_weight: float
    effects: Matrix

    @classmethod
    def of(cls, tables: Tables, rows: Complete, periods: Periods, columns: Sequence[Expr]) -> "PanelSums":
        """Return the sums, after one pass over the rows.

        Args:
            tables: the request's shared computations.
            rows: the rows.
            periods: their periods.
            columns: the m columns.

        Raises:
            NotByMoments: a unit has several rows in one period.
        """
        unit, weight, count = tables.encoded.unit, tables.encoded.weights, len(periods.values)
        if unit is None:
            raise NotByMoments(Message("by_moments.many-periods", most=MOST_PERIODS))
        inside: list[Expr] = [Is(periods.code, "=", float(place)) for place in range(count)]
        size, mass = GroupSum(ONE, (unit,)), GroupSum(times(weight), (unit,))
        shares = [Quotient(GroupSum(times(weight, each), (unit,)), mass) for each in inside]
        single = Is(size, "=", 1.0)
        lone = periods.among((periods.rows == 1).astype(np.float64))
        others = linear([(1.0, times(linear([(-1.0, single)], 1.0), lone)), (1.0, single)])
        own = case(periods.code, *(GroupSum(each, (unit,)) for each in inside))
        found = rows.source.grouped(
            [
                Quotient(ONE, size), single, others, own, times(weight),
                *(times(weight, less_means(each, unit, weight)) for each in columns),
                *(times(weight, each) for each in shares),
            ],
            [periods.code],
        )[:, 2:]  # fmt: skip
        units, once, alone, cells = (round(float(each)) for each in found[:, :4].sum(axis=0))
        if cells != int(periods.rows.sum()):
            raise NotByMoments(Message("by_moments.repeated-rows"))
        masses, sums, shared = found[:, 4], found[:, 5 : 5 + len(columns)], found[:, 5 + len(columns) :]
        return cls(
            periods=periods, unit=unit, weight=weight, units=units, once=once, alone=alone,
            mean_weight=float(masses.sum() / periods.rows.sum()),
            effects=_inverse(np.diag(masses) - (shared + shared.T) / 2) @ sums,
        )  # fmt: skip

    def without_effects(self, column: Expr, place: int) -> Expr:
        """Return one of the m columns less its effects of unit and period."""
        inside = linear([(1.0, column), (-1.0, self.periods.among(self.effects[:, place]))])
        return less_means(inside, self.unit, self.weight)


def less_means(column: Expr, unit: Column, weight: Expr | None) -> Expr:
    """Return a column less its weighted mean in each unit."""
    mean = Quotient(GroupSum(times(weight, column), (unit,)), GroupSum(times(weight), (unit,)))
    return linear([(1.0, column), (-1.0, mean)])


def _inverse(matrix: NDArray[np.float64]) -> Matrix:
    """Return a generalised inverse of a positive semi-definite matrix: of each connected part, one effect is free."""
    values, vectors = np.linalg.eigh(matrix)
    large = values > _SINGULAR * values[-1]
    return np.asarray((vectors[:, large] / values[large]) @ vectors[:, large].T)
