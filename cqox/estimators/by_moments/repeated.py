"""Units with several rows in one period: whether any of all rows are, and which."""

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.by_moments.summed import ONE
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.moments import Column, GroupSum, Is, times
from cqox.estimators.sample import MOST_LISTED, listed

__all__ = ["repeated_rows"]


def repeated_rows(tables: Tables, *roles: str) -> Message | None:
    """Return the numbers, from 1, of the rows with an earlier row of the same unit and period; None if there are none,
    or if some periods are words that the sample has not.

    Args:
        tables: the request's shared computations.
        roles: rows without a value of one of them are left out, and are counted in the numbers.
    """
    stored, (unit,), (time,) = tables.encoded.stored, tables.encoded.of("unit_id"), tables.encoded.of("time")
    rows = tables.complete(*roles)
    if not isinstance(time, Column) and rows.source.where(Is(time, "=", 0.0)).count():
        return None
    (count,), cells = rows.source.squares([ONE], [unit, time])
    if stored is None or cells == round(float(count)):
        return None
    number, by = stored.number, (unit, time)
    size = GroupSum(ONE, by)
    # The sums of numbers and of their squares identify a cell, whatever the types of its columns.
    sums = {"sum": GroupSum(number, by), "squares": GroupSum(times(number, number), by)}
    found = rows.source.fetch({"row": number, **sums}, Is(size, "=", 1.0), 0.5)
    order = np.argsort(found["row"], kind="stable")
    numbers = found["row"][order]
    pairs = np.stack([found["sum"], found["squares"]], axis=1)[order]
    later = np.ones(len(numbers), dtype=np.bool_)
    later[np.unique(pairs, axis=0, return_index=True)[1]] = False
    first = numbers[later][:MOST_LISTED].tolist()
    before = tables.encoded.source.sums([Is(number, "<", each) for each in first]).sums
    return listed([str(round(float(each)) + 1) for each in before], of=int(later.sum()))
