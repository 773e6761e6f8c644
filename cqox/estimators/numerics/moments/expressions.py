"""Expressions of the columns of a table, in the few operations that every engine has.

An expression is a small tree of frozen values; two that are equal are computed once. A missing value (null, NaN) makes
every result missing that it enters, as in SQL, except in `Known`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

__all__ = [
    "Case",
    "Column",
    "Constant",
    "Exp",
    "Expr",
    "Fold",
    "GroupSum",
    "Is",
    "Known",
    "Linear",
    "Product",
    "Quotient",
    "case",
    "children",
    "linear",
    "times",
]

_COMPARISONS = ("=", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """An expression that keeps its hash: trees share parts, and are compared often."""

    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((type(self).__name__, *self._values())))

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in fields(self) if each.name != "_hash")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        same = type(self) is type(other) and hash(self) == hash(other)
        return same and isinstance(other, _Node) and self._values() == other._values()


@dataclass(frozen=True, slots=True, eq=False)
class Column(_Node):
    """A column of the table by its name: a number, or any value where it is compared or grouped by."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Constant(_Node):
    """A finite number."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a constant must be finite, not {self.value}")
        _Node.__post_init__(self)


@dataclass(frozen=True, slots=True, eq=False)
class Linear(_Node):
    """constant + Σ factor · term."""

    constant: float
    terms: "tuple[tuple[float, Expr], ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Product(_Node):
    """left · right."""

    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True, eq=False)
class Quotient(_Node):
    """top / bottom, whose bottom is not 0 in any row."""

    top: "Expr"
    bottom: "Expr"


@dataclass(frozen=True, slots=True, eq=False)
class Exp(_Node):
    """e to the power of an expression; powers beyond -700 and 700 count as these, where no engine overflows.

    An engine to which underflow is an error takes nearer ones, where sums of probabilities are the same.
    """

    of: "Expr"


@dataclass(frozen=True, slots=True, eq=False)
class Is(_Node):
    """1 where an expression compares so with a value, 0 where it does not.

    Attributes:
        of: the expression; a column of any type for `=`.
        op: one of = < <= > >=.
        value: a number, a word or a truth value.
    """

    of: "Expr"
    op: str
    value: float | str | bool

    def __post_init__(self) -> None:
        if self.op not in _COMPARISONS:
            raise ValueError(f"no comparison: {self.op}")
        _Node.__post_init__(self)


@dataclass(frozen=True, slots=True, eq=False)
class Known(_Node):
    """1 where none of some expressions is missing, else 0."""

    of: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Case(_Node):
    """The branch whose number, from 0 on, an expression has; the last branch takes the rest."""

    of: "Expr"
    branches: "tuple[Expr, ...]"

    def __post_init__(self) -> None:
        if not self.branches:
            raise ValueError("a case has at least one branch")
        _Node.__post_init__(self)


@dataclass(frozen=True, slots=True, eq=False)
class Fold(_Node):
    """The fold of a row in one split, from 0 on, by the portable hash of its key (`numerics.folds`).

    Attributes:
        key: a whole number of at least 0 and below 2^62.
        seed: of the request.
        split: number of the split.
        folds: number of folds.
    """

    key: Column
    seed: int
    split: int
    folds: int


@dataclass(frozen=True, slots=True, eq=False)
class GroupSum(_Node):
    """The sum of an expression over all rows of the row's group; it cannot be a condition of rows.

    Attributes:
        of: the expression.
        by: expressions, or columns of any type, that make the groups; none is missing in any row.
    """

    of: "Expr"
    by: "tuple[Expr, ...]"


type Expr = Column | Constant | Linear | Product | Quotient | Exp | Is | Known | Case | Fold | GroupSum


def linear(terms: Iterable[tuple[float, Expr]], constant: float = 0.0) -> Expr:
    """Return a linear combination, without the terms of factor 0."""
    kept = tuple((float(factor), term) for factor, term in terms if factor != 0.0)
    return Linear(float(constant), kept) if kept else Constant(float(constant))


def times(*factors: Expr | None) -> Expr:
    """Return the product of what is not None; 1 where nothing is left."""
    result: Expr | None = None
    for factor in factors:
        if factor is not None:
            result = factor if result is None else Product(result, factor)
    return Constant(1.0) if result is None else result


def case(of: Expr, *branches: Expr) -> Expr:
    """Return the branch whose number an expression has; the last one takes the rest."""
    return branches[0] if len(set(branches)) == 1 else Case(of, branches)


def children(node: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly below one."""
    match node:
        case Linear(terms=terms):
            return tuple(term for _, term in terms)
        case Product(left=left, right=right):
            return left, right
        case Quotient(top=top, bottom=bottom):
            return top, bottom
        case Exp(of=below) | Is(of=below):
            return (below,)
        case Known(of=those):
            return those
        case Case(of=number, branches=branches):
            return number, *branches
        case Fold(key=key):
            return (key,)
        case GroupSum(of=below, by=by):
            return below, *by
        case _:
            return ()
