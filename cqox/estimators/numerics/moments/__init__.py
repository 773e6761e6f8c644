"""Sums over the rows of a table that need not be in memory: expressions of columns, and the sums that estimators ask
for.

An estimator that is written against `Moments` sees no row but by the few columns that it asks for. `ArrayMoments` sums
arrays in memory; the SQL of `cqox.engines` sums where the data are.
"""

from cqox.estimators.numerics.moments.arrays import ArrayMoments
from cqox.estimators.numerics.moments.expressions import (
    Case,
    Column,
    Constant,
    Exp,
    Expr,
    Fold,
    GroupSum,
    Is,
    Known,
    Linear,
    Product,
    Quotient,
    case,
    children,
    linear,
    times,
)
from cqox.estimators.numerics.moments.source import Groups, Moments, Totals

__all__ = [
    "ArrayMoments",
    "Case",
    "Column",
    "Constant",
    "Exp",
    "Expr",
    "Fold",
    "GroupSum",
    "Groups",
    "Is",
    "Known",
    "Linear",
    "Moments",
    "Product",
    "Quotient",
    "Totals",
    "case",
    "children",
    "linear",
    "times",
]
