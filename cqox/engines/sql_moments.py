"""`Moments` of a table that an SQL engine reads: one statement for each method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from typing import Protocol, Self

import numpy as np

from cqox.engines.sql import Dialect, SourceColumn, Statement, below, statement_of
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.moments import Column, Constant, Expr, Groups, Totals, times

__all__ = ["Engine", "SqlMoments"]

_ONE = Constant(1.0)


class Engine(Protocol):
    """Runs statements."""

    @property
    def name(self) -> str:
        """The engine and its version."""
        ...

    @property
    def dialect(self) -> Dialect:
        """The dialect of its statements."""
        ...

    def read(self, statement: str) -> list[Vector]:
        """Return the columns of an answer as arrays of doubles, NaN where a value is null."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlMoments:
    """The rows of a table in which conditions hold, as sums.

    Attributes:
        engine: runs the statements.
        table: what follows `from`.
        columns: of the table, by the names that expressions use.
        conditions: of the rows.
        paired: what follows `from` in a statement that needs a column which `table` lacks, by the name of that column;
            of one column at a time.
    """

    engine: Engine
    table: str
    columns: Mapping[str, SourceColumn]
    conditions: tuple[Expr, ...] = ()
    paired: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The engine and its version."""
        return self.engine.name

    def where(self, condition: Expr) -> Self:
        """Return the rows in which a condition is 1 too."""
        return replace(self, conditions=(*self.conditions, condition))

    def count(self) -> int:
        """Return the number of rows."""
        written = self._written([])
        (rows,) = self.engine.read(f"select count(*) from {written.rows}")
        return int(rows[0])

    def gram(self, columns: Sequence[Expr], by: Sequence[Expr] = (), weight: Expr | None = None) -> Groups:
        """Return the cross-products of columns within groups."""
        pairs = list(combinations_with_replacement(range(len(columns)), 2))
        weighted = [column if weight is None else times(weight, column) for column in columns]
        values = [_product(weighted[first], columns[second]) for first, second in pairs]
        found = self.grouped(values, by)
        products = np.empty((len(found), len(columns), len(columns)))
        for (first, second), sums in zip(pairs, found[:, len(by) + 1 :].T, strict=True):
            products[:, first, second] = products[:, second, first] = sums
        return Groups(keys=found[:, : len(by)], counts=found[:, len(by)], products=products)

    def sums(self, values: Sequence[Expr], largest: Sequence[Expr] = ()) -> Totals:
        """Return the sums of some values, and the largest of others."""
        asked = [*((self._total, each) for each in values), *(("max", each) for each in largest)]
        found: list[float] = []
        for piece in self._pieces(asked):
            written = self._written([each for _, each in piece])
            texts = [f"{function}({text})" for (function, _), text in zip(piece, written.texts, strict=True)]
            found += [column[0] for column in self.engine.read(f"select {_numbered(texts)} from {written.rows}")]
        return Totals(
            sums=_zero_without_rows(found[: len(values)]), largest=np.asarray(found[len(values) :], dtype=np.float64)
        )

    def grouped(self, values: Sequence[Expr], by: Sequence[Expr]) -> Matrix:
        """Return the groups of some expressions with their rows and sums."""
        first, *others = (self._grouped(piece, by) for piece in self._pieces(values, len(by) + 1))
        return np.concatenate((first, *(each[:, len(by) + 1 :] for each in others)), axis=1)

    def _grouped(self, values: Sequence[Expr], by: Sequence[Expr]) -> Matrix:
        written = self._written([*by, *values], groups=len(by))
        keys, sums = written.texts[: len(by)], written.texts[len(by) :]
        words = [number for number, each in enumerate(by) if self._is_word(each)]
        picked = [*keys, "count(*)", *(f"{self._total}({text})" for text in sums)]
        for number in words:
            picked[number] = f"dense_rank() over (order by {keys[number]})"
        grouping = f" group by {', '.join(keys)}" if keys else ""
        found = np.stack(self.engine.read(f"select {_numbered(picked)} from {written.rows}{grouping}"), axis=1)
        for number in words:
            found[:, number] -= 1.0
        return found[np.lexsort(found[:, : len(by)].T[::-1])] if by else found

    def squares(self, values: Sequence[Expr], within: Sequence[Expr]) -> tuple[Vector, int]:
        """Return the sums of squared sums within groups, and the number of groups."""
        found = [self._squares(piece, within) for piece in self._pieces(values, 1)]
        return np.concatenate([sums for sums, _ in found]), found[0][1]

    def _squares(self, values: Sequence[Expr], within: Sequence[Expr]) -> tuple[Vector, int]:
        written = self._written([*within, *values], groups=len(within))
        keys, texts = written.texts[: len(within)], written.texts[len(within) :]
        sums = ", ".join(f"{self._total}({text}) as s{number}" for number, text in enumerate(texts))
        inner = f"(select {sums} from {written.rows} group by {', '.join(keys)}) g"
        outer = ", ".join(f"{self._total}(s{number} * s{number})" for number in range(len(texts)))
        *found, groups = self.engine.read(f"select {outer}, count(*) from {inner}")
        return _zero_without_rows([column[0] for column in found]), int(groups[0])

    def fetch(self, columns: Mapping[str, Expr], key: Expr, below: float) -> Mapping[str, Vector]:
        """Return some columns of the rows whose key is below a limit, in the order of the key."""
        written = self._written([key, *columns.values()])
        first, *others = written.texts
        limit = self.engine.dialect.number(float(below))
        statement = f"select {_numbered(others)} from {written.rows} where {first} < {limit} order by {first}"
        return dict(zip(columns, self.engine.read(statement), strict=True))

    def rows(self, columns: Mapping[str, Expr], codes: Mapping[str, Column]) -> Mapping[str, Vector]:
        """Return some columns of all rows, and the places of others among their values."""
        written = self._written([*codes.values(), *columns.values()], groups=len(codes))
        texts = list(written.texts)
        for number, text in enumerate(texts[: len(codes)]):
            texts[number] = f"case when {text} is not null then dense_rank() over (order by {text}) end"
        found = self.engine.read(f"select {_numbered(texts)} from {written.rows}")
        return dict(zip((*codes, *columns), found, strict=True))

    def _pieces[Value](self, values: Sequence[Value], others: int = 0) -> list[Sequence[Value]]:
        """Return the values that each of some statements asks for, next to a number of other columns."""
        most = self.engine.dialect.most_values - others
        return [values[start : start + most] for start in range(0, max(len(values), 1), most)]

    @property
    def _total(self) -> str:
        return self.engine.dialect.total

    def _is_word(self, node: Expr) -> bool:
        return isinstance(node, Column) and self.columns[node.name].kind == "word"

    def _written(self, roots: Sequence[Expr], *, groups: int = 0) -> Statement:
        names = {each.name for each in below([*roots, *self.conditions]) if isinstance(each, Column)}
        table = next((self.paired[name] for name in names & self.paired.keys()), self.table)
        return statement_of(
            roots, table=table, columns=self.columns, conditions=self.conditions, dialect=self.engine.dialect,
            groups=groups,
        )  # fmt: skip


def _numbered(texts: Sequence[str]) -> str:
    """Return what follows `select`, with a name for each column: equal ones have one name otherwise."""
    return ", ".join(f"{text} as a{number}" for number, text in enumerate(texts))


def _zero_without_rows(sums: Sequence[float]) -> Vector:
    found = np.asarray(sums, dtype=np.float64)
    return np.where(np.isnan(found), 0.0, found)


def _product(left: Expr, right: Expr) -> Expr:
    if left == _ONE:
        return right
    return left if right == _ONE else times(left, right)
