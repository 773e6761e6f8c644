"""The sample in memory of a table that an engine sums.

It is chosen by a hash of the unit, so that it is the same in every run; by a hash of the row's number where no unit is
mapped, where units are few, or where their sizes are so uneven that the sample would be far from its size. Every level
of a mapped column occurs in it: where a rare one would not, its last row is added.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.levels import MAX_LEVELS
from cqox.analysis.mapping import columns_of
from cqox.analysis.opened import Opened
from cqox.analysis.own_columns import OwnColumns
from cqox.analysis.row_keys import key_column
from cqox.datasets import ROW_GROUP
from cqox.datasets import Column as Described
from cqox.estimators.numerics.moments import Column, Expr, Fold, Is, Known, Moments, linear, times

__all__ = ["DRAWS", "SAMPLE_ROWS", "EngineSample", "Numbers", "ReadRows", "drawn_number", "stored_rows"]

SAMPLE_ROWS = 200_000
"""Rows of a sample, about."""

_STEPS = 250
DRAWS = _STEPS * _STEPS
"""Numbers that `drawn_number` gives."""
_FIRST_DRAW, _SECOND_DRAW = 10**6, 10**6 + 1
"""Numbers of splits that no request has, for the hash that chooses the sample."""

_FEWEST_OF_ARM = 50
"""Rows of an arm below which the sample gets more of it."""
_FEWEST_UNITS = 100
"""Expected number of units below which the sample is of rows: few units say little of the others."""

type Numbers = NDArray[np.int64]
"""Ascending numbers of rows, from 0."""

type ReadRows = Callable[[Numbers, Sequence[str] | None], pl.DataFrame]
"""Returns some columns, or all where None, of the rows with these numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSample:
    """Chooses the rows of a sample.

    Attributes:
        opened: the request.
        source: all rows of its table.
        own: names of the number and the keys of a row in the source.
        read: returns rows of the table.
        about: number of rows, about.
    """

    opened: Opened
    source: Moments
    own: OwnColumns
    read: ReadRows
    about: int

    def rows(self) -> tuple[Numbers, bool]:
        """Return the ascending numbers of the rows of the sample, and whether it is of whole units."""
        opened, own = self.opened, self.own
        steps = -(-self.about * _STEPS * _STEPS // opened.rows)
        key = key_column(opened)
        by_unit = key is not None and opened.columns[key.name].distinct * steps >= _FEWEST_UNITS * _STEPS * _STEPS
        if by_unit:
            drawn = self.source.where(Is(self._draw(own.fold_key), "<", float(steps))).count()
            by_unit = self.about <= 2 * drawn <= 3 * self.about
        draw = self._draw(own.fold_key if by_unit else own.row_key)
        chosen = self.source.fetch({"row": Column(own.row)}, draw, steps)["row"].astype(np.int64)
        return np.unique(np.concatenate([chosen, self._rare(chosen)])), by_unit

    def _draw(self, key: str) -> Expr:
        return drawn_number(key, self.opened.options.seed)

    def _rare(self, chosen: Numbers) -> Numbers:
        """Return a row of each level of a mapped column that does not occur in the chosen rows.

        Levels are those of words and codes, and the values of an outcome or a treatment that has few in the sample.
        """
        seen = self.read(chosen, columns_of(self.opened.roles))
        conditions: list[Expr] = []
        found: list[int] = []
        for name in seen.columns:
            column = self.opened.columns[name]
            there = seen[name].drop_nulls().unique().to_list()
            if column.distinct <= MAX_LEVELS and column.levels:
                texts = {str(level) for level in there}
                missed = [level for level in column.levels if level not in texts]
                conditions += [Is(Column(name), "=", _value(level, column)) for level in missed]
            elif column.is_number and name in self._compared() and len(there) < min(column.distinct, MAX_LEVELS + 1):
                found += self._unseen(name, there)
        found += [row for name in self._compared() for row in self._of_rare_arms(seen[name])]
        if conditions:
            # The row number counts from 1 here, so that 0 says that there is none.
            number = linear([(1.0, Column(self.own.row))], 1.0)
            places = [times(each, number) for each in conditions]
            found += [int(place) - 1 for place in self.source.sums([], places).largest if place > 0]
        return np.asarray(found, dtype=np.int64)

    def _of_rare_arms(self, seen: pl.Series) -> list[int]:
        """Return more rows of each level of the treatment of which the sample has too few for an estimate."""
        column, found = self.opened.columns[seen.name], list[int]()
        if seen.name != self.opened.roles.get("treatment") or not column.levels:
            return found
        drawn = {str(level): rows for level, rows in seen.drop_nulls().value_counts().iter_rows()}
        for level, rows in zip(column.levels, column.level_counts, strict=True):
            if drawn.get(level, 0) < min(rows, _FEWEST_OF_ARM):
                below = -(-4 * _FEWEST_OF_ARM * _STEPS * _STEPS // rows)
                arm = self.source.where(Is(Column(seen.name), "=", _value(level, column)))
                drawn_rows = arm.fetch({"row": Column(self.own.row)}, self._draw(self.own.row_key), below)["row"]
                found += drawn_rows.astype(int).tolist()
        return found

    def _compared(self) -> set[str]:
        roles = self.opened.roles
        return {str(roles[role]) for role in ("y", "reward", "treatment", "dose", "action") if role in roles}

    def _unseen(self, name: str, there: Sequence[float]) -> list[int]:
        """Return the last rows of some of the numbers that a column has beyond those of the sample."""
        found: list[int] = []
        column, number = Column(name), Column(self.own.row)
        others = self.source.where(Known((column,)))
        for value in there:
            others = others.where(linear([(-1.0, Is(column, "=", float(value)))], 1.0))
        while len(there) + len(found) <= MAX_LEVELS:
            row, value = others.sums([], [number, column]).largest
            if np.isnan(row):
                break
            found.append(int(others.where(Is(column, "=", float(value))).sums([], [number]).largest[0]))
            others = others.where(Is(column, "<", float(value)))
        return found


def drawn_number(key: str, seed: int) -> Expr:
    """Return a number from 0 to `DRAWS` - 1 of each row, equal for equal keys.

    Args:
        key: name of a column that is a key.
        seed: of the draw.
    """
    first, second = (Fold(Column(key), seed, split, _STEPS) for split in (_FIRST_DRAW, _SECOND_DRAW))
    return linear([(float(_STEPS), first), (1.0, second)])


def stored_rows(path: Path, rows: Numbers, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return some rows of a stored table; a part of it of `ROW_GROUP` rows is in memory at a time.

    Args:
        path: of the table, a Parquet file.
        rows: their numbers, each once; the rows come in ascending order.
        names: of the columns; all where None.
    """
    table = pl.scan_parquet(path, glob=False)
    if names is not None:
        table = table.select(names)
    rows = np.sort(rows)
    # One row group after the other: a streaming reader decodes as many ahead as its threads get to.
    ends = np.searchsorted(rows, np.unique(rows // ROW_GROUP) * ROW_GROUP)
    parts = [table.head(0).collect()]
    for part in np.split(rows, ends[1:]) if len(rows) else ():
        first, behind = int(part[0]), int(part[-1]) + 1
        parts.append(table.slice(first, behind - first).collect()[part - first])
    return pl.concat(parts, rechunk=True)


def _value(level: str, column: Described) -> float | str:
    return float(level) if column.dtype in ("int64", "float64") else level
