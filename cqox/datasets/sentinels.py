"""Numbers that stand for a missing value in files of programs that have no empty cell: -999, 99, -9.

They are reported and never changed: a client who means them names them in `na`.
"""

import polars as pl

from cqox.contract.messages import Message

__all__ = ["sentinel_note"]

_LONGEST = 7
_CODES = tuple(sign * int(digit * length) for digit in "789" for length in range(1, _LONGEST + 1) for sign in (-1, 1))
"""Sevens, eights or nines alone, as SPSS, SAS and surveys have them by custom."""

_FEWEST = 2
"""Rows with a code below which it may be an odd value."""


def sentinel_note(values: pl.Series, low: object, high: object) -> list[Message]:
    """A note on the numbers of a column that look like codes for a missing value; none where there are none.

    A code of sevens, eights or nines alone looks so where at least two rows have it and it lies beyond all that is no
    such code: below 0 where that is not, or farther from it than that reaches; one digit above 0 only together with two
    neighbouring numbers, for it is a count as often.

    Args:
        values: numbers, null where missing.
        low, high: the smallest and the largest of them; None where all are missing.
    """
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not {low, high} & set(_CODES):
        return []
    coded = values.is_in(list(_CODES) if values.dtype.is_integer() else [float(code) for code in _CODES])
    rest = values.filter(~coded)
    least, most = rest.min(), rest.max()
    if not isinstance(least, int | float) or not isinstance(most, int | float) or least == most:
        return []
    counts = values.filter(coded).value_counts().sort(values.name).rows()
    found = [(int(code), rows) for code, rows in counts if rows >= _FEWEST and _is_beyond(code, least, most)]
    if not found:
        return []
    codes = [Message("datasets.code-of-rows", code=code, rows=rows) for code, rows in found]
    return [Message("datasets.note-codes-of-missing-values", codes=codes, least=least, most=most)]


def _is_beyond(code: float, least: float, most: float) -> bool:
    if 0 < code < 10:
        return code > most and most - least == 1
    return code < 0 <= least or max(least - code, code - most) > most - least
