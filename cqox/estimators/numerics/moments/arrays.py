"""Sums over arrays in memory, in blocks of rows: the interpreter that needs no engine."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import grouped_gram_partial
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
)
from cqox.estimators.numerics.moments.source import Groups, Totals
from cqox.estimators.numerics.portable_folds import portable_folds
from cqox.estimators.numerics.row_blocks import Partial, Rows

__all__ = ["ArrayMoments"]

_COMPARE = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FARTHEST = 700.0

type _Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayMoments:
    """Columns in memory as a table of sums.

    Attributes:
        columns: name to (n,) array; NaN marks a missing number, None a missing word.
        block: rows per block.
        threads: number of blocks at a time.
        index: positions of the rows that count; None for all.
    """

    columns: Mapping[str, _Array]
    block: int = 16_384
    threads: int = 1
    index: NDArray[np.intp] | None = None
    name: str = field(default="numpy", init=False)
    _summed: dict[GroupSum, Vector] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def _rows(self) -> Rows:
        total = len(next(iter(self.columns.values()))) if self.index is None else len(self.index)
        return Rows(n=total, block=self.block, threads=self.threads)

    def where(self, condition: Expr) -> Self:
        """Return the rows in which a condition is 1."""
        inside = np.flatnonzero(self._whole(condition) == 1.0)
        index = inside if self.index is None else self.index[inside]
        return type(self)(columns=self.columns, block=self.block, threads=self.threads, index=index)

    def count(self) -> int:
        """Return the number of rows."""
        return self._rows.n

    def gram(self, columns: Sequence[Expr], by: Sequence[Expr] = (), weight: Expr | None = None) -> Groups:
        """Return the cross-products of columns within groups."""
        keys, codes = self._groups(by)

        def work(s: slice) -> Partial:
            of = self._at(s)
            block = np.stack([of(column) for column in columns])
            return grouped_gram_partial(block, None if weight is None else of(weight), codes[s], len(keys))

        products, counts = self._rows.total(work)
        return Groups(keys=keys, counts=counts, products=products)

    def sums(self, values: Sequence[Expr], largest: Sequence[Expr] = ()) -> Totals:
        """Return the sums of some values, and the largest of others."""

        def work(s: slice) -> Partial:
            of = self._at(s)
            return np.asarray([of(value).sum() for value in values]), np.asarray([of(value).max() for value in largest])

        parts = self._rows.each(work)
        if not parts:
            return Totals(sums=np.zeros(len(values)), largest=np.full(len(largest), np.nan))
        sums, most = (np.stack(each) for each in zip(*parts, strict=True))
        return Totals(sums=sums.sum(axis=0), largest=most.max(axis=0))

    def grouped(self, values: Sequence[Expr], by: Sequence[Expr]) -> Matrix:
        """Return the groups of some expressions with their rows and sums."""
        keys, codes = self._groups(by)
        count = len(keys)
        if not len(codes):
            return np.zeros((0, len(by) + 1 + len(values)))

        def work(s: slice) -> Partial:
            of = self._at(s)
            rows = np.bincount(codes[s], minlength=count).astype(np.float64)
            return (np.stack([rows, *(np.bincount(codes[s], of(value), count) for value in values)], axis=1),)

        (found,) = self._rows.total(work)
        return np.concatenate((keys, found), axis=1)

    def squares(self, values: Sequence[Expr], within: Sequence[Expr]) -> tuple[Vector, int]:
        """Return the sums of squared sums within groups, and the number of groups."""
        found = self.grouped(values, within)
        return np.square(found[:, len(within) + 1 :]).sum(axis=0), len(found)

    def fetch(self, columns: Mapping[str, Expr], key: Expr, below: float) -> Mapping[str, Vector]:
        """Return some columns of the rows whose key is below a limit, in the order of the key."""
        keys = self._whole(key)
        chosen = np.flatnonzero(keys < below)
        chosen = chosen[np.argsort(keys[chosen], kind="stable")]
        return {name: self._whole(column)[chosen] for name, column in columns.items()}

    def rows(self, columns: Mapping[str, Expr], codes: Mapping[str, Column]) -> Mapping[str, Vector]:
        """Return some columns of all rows, and the places of others among their values."""
        found = {name: self._whole(column) for name, column in columns.items()}
        for name, column in codes.items():
            values = self._column(column.name)
            places = _coded(values)[1].astype(np.float64)
            places[_missing(values)] = np.nan
            found[name] = places
        return found

    def _groups(self, by: Sequence[Expr]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return (g, b) the distinct values of the grouping expressions, and (n,) the group of each row."""
        if not by:
            return np.empty((1, 0)), np.zeros(self._rows.n, dtype=np.int64)
        levels, codes = zip(*(_coded(self._raw(node)) for node in by), strict=True)
        found, inverse = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        keys = np.stack([values[found[:, place]] for place, values in enumerate(levels)], axis=1)
        return keys, inverse.reshape(-1).astype(np.int64)

    def _raw(self, node: Expr) -> _Array:
        return self._column(node.name) if isinstance(node, Column) else self._whole(node)

    def _column(self, name: str, s: slice = slice(None)) -> _Array:
        array = self.columns[name]
        return array[s] if self.index is None else array[self.index[s]]

    def _whole(self, node: Expr) -> Vector:
        return np.concatenate([np.empty(0), *self._rows.each(lambda s: self._at(s)(node))])

    def _at(self, s: slice) -> "_Block":
        return _Block(partial(self._column, s=s), s.stop - s.start, lambda node: self._group_sum(node)[s])

    def _group_sum(self, node: GroupSum) -> Vector:
        """Return (n,) the sum of each row's group, kept: blocks ask for it one by one."""
        if node not in self._summed:
            keys, codes = self._groups(node.by)
            self._summed[node] = np.bincount(codes, self._whole(node.of), len(keys))[codes]
        return self._summed[node]


class _Block:
    """The expressions of one block of rows; each is computed once."""

    def __init__(self, column: Callable[[str], _Array], rows: int, group_sum: Callable[[GroupSum], Vector]) -> None:
        self._column, self._length, self._group_sum = column, rows, group_sum
        self._kept: dict[Expr, Vector] = {}

    def __call__(self, node: Expr) -> Vector:
        if node not in self._kept:
            self._kept[node] = self._computed(node)
        return self._kept[node]

    def _computed(self, node: Expr) -> Vector:
        match node:
            case Column(name=name):
                return np.asarray(self._column(name), dtype=np.float64)
            case Constant(value=value):
                return np.full(self._length, value)
            case Linear(constant=constant, terms=terms):
                total = np.full(self._length, constant)
                for factor, term in terms:
                    total += factor * self(term)
                return total
            case Product(left=left, right=right):
                return self(left) * self(right)
            case Quotient(top=top, bottom=bottom):
                return self(top) / self(bottom)
            case Exp(of=of):
                return np.asarray(np.exp(np.clip(self(of), -_FARTHEST, _FARTHEST)))
            case Is(of=of, op=op, value=value):
                return self._compared(of, op, value)
            case Known(of=of):
                known = [~_missing(self._raw(each)) for each in of]
                return np.asarray(np.logical_and.reduce(known), dtype=np.float64)
            case Case(of=of, branches=branches):
                number = self(of)
                last = len(branches) - 1
                inside = np.where((number >= 0) & (number < last), number, last).astype(np.intp)
                return np.stack([self(branch) for branch in branches])[inside, np.arange(self._length)]
            case Fold(key=key, seed=seed, split=split, folds=folds):
                keys = np.asarray(self._column(key.name), dtype=np.int64)
                return portable_folds(keys, seed=seed, split=split, folds=folds).astype(np.float64)
            case GroupSum():
                return self._group_sum(node)

    def _compared(self, of: Expr, op: str, value: float | str | bool) -> Vector:
        values = self._raw(of)
        found = np.asarray(_COMPARE[op](values, value), dtype=np.float64)
        found[_missing(values)] = np.nan
        return found

    def _raw(self, node: Expr) -> _Array:
        return self._column(node.name) if isinstance(node, Column) else self(node)


def _missing(values: _Array) -> NDArray[np.bool_]:
    if values.dtype == object:
        return np.asarray([value is None or value != value for value in values], dtype=np.bool_)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=np.bool_)


def _coded(values: _Array) -> tuple[Vector, NDArray[np.int64]]:
    """Return the levels of some values as numbers in ascending order, words by their place, and each value's level."""
    numbers = values.dtype.kind in "fiub"
    levels, codes = np.unique(values if numbers else values.astype(str), return_inverse=True)
    named = levels.astype(np.float64) if numbers else np.arange(len(levels), dtype=np.float64)
    return named, codes.reshape(-1).astype(np.int64)
