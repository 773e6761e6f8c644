"""Units with several rows in one period: whether any of all rows are, and which."""

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.by_moments.summed import ONE, Complete
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.moments import Column, Expr, GroupSum, Is, linear, times
from cqox.estimators.sample import MOST_LISTED, listed

__all__ = ["repeated_rows"]

_FIRST_ROWS = 100_000.0
_BEYOND = 2.0**53
"""More than the number of any row."""


def repeated_rows(tables: Tables, *roles: str, later: bool = False) -> Message | None:
    """Return the numbers, from 1, of the rows with an earlier row of the same unit and period; None if there are none,
    or if some periods are words that the sample has not.

    Args:
        tables: the request's shared computations.
        roles: rows without a value of one of them are left out, and are counted in the numbers.
        later: True for the rows with a later row of the same unit and period instead.
    """
    stored, (unit,), (time,) = tables.encoded.stored, tables.encoded.of("unit_id"), tables.encoded.of("time")
    rows = tables.complete(*roles)
    if not isinstance(time, Column) and rows.source.where(Is(time, "=", 0.0)).count():
        return None
    _, cells = rows.source.squares([ONE], [unit, time])
    repeats = rows.source.count() - cells
    if stored is None or not repeats:
        return None
    numbers = _first_repeats(rows, stored.number, (unit, time), min(repeats, MOST_LISTED), later=later)
    before = tables.encoded.source.sums([Is(stored.number, "<", each) for each in numbers]).sums
    return listed([str(round(float(each)) + 1) for each in before], of=repeats)


def _first_repeats(rows: Complete, number: Column, by: tuple[Expr, ...], wanted: int, *, later: bool) -> list[float]:
    """Return the numbers of the first rows with an earlier row of their cell, or with a later one.

    It looks among the first rows of the table, and among ever more of them until it has found enough: where most cells
    are repeated, all of their rows would not fit in memory.
    """
    once = Is(GroupSum(ONE, by), "=", 1.0)
    # Two rows are known by the sum of their numbers and that of the squares, whatever the types of the columns of the
    # cell. More rows may coincide with those of another cell, which then changes the rows named, not their count.
    sums = {"sum": GroupSum(number, by), "squares": GroupSum(times(number, number), by), "rows": GroupSum(ONE, by)}
    limit = _FIRST_ROWS
    while True:
        found = rows.source.fetch({"row": number, **sums}, linear([(1.0, number), (_BEYOND, once)]), limit)
        pairs = np.stack([found["sum"], found["squares"]], axis=1)
        earlier = _earlier(np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1))
        repeats = earlier + 1 < found["rows"] if later else earlier > 0
        if repeats.sum() >= wanted or limit >= _BEYOND:
            return [float(each) for each in found["row"][repeats][:wanted]]
        limit *= 10.0


def _earlier(cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return (rows,) the number of earlier rows of each row's cell, given (rows,) cells."""
    order = np.argsort(cells, kind="stable")
    starts = np.append(0, np.bincount(cells).cumsum())
    earlier = np.empty(len(cells), dtype=np.intp)
    earlier[order] = np.arange(len(cells)) - starts[cells[order]]
    return earlier
