"""The row of a file that is its header, judged by how wide the rows are."""

import csv
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["LOOKED_AT", "guess_header_row", "proposed_header_row", "split_lines"]

LOOKED_AT = 50
"""Rows of a file that are looked at."""

_NEARLY_ALL = 0.8
_AT_MOST = 0.5
_LINE = re.compile("\r\n|\n|\r")
_NUMBER = re.compile(r"[-+−△▲(]?\s*[¥￥$€£]?\s*[\d０-９][\d０-９,，.．]*(?:[eE][-+]?\d+)?\s*[%％円]?\)?")

type _Row = Sequence[str | None]


def guess_header_row(rows: Sequence[_Row]) -> int | None:
    """Return the number, from 1, of the first row that is nearly as wide as the table; None without a row.

    Titles and notes above a table fill few cells; of most rows below them as many are filled as there are columns.

    Args:
        rows: the first rows, cells as text, empty ones as None or white space.
    """
    filled = [len(_filled(row)) for row in rows]
    widths = Counter(count for count in filled if count > 1) or Counter(count for count in filled if count)
    if not widths:
        return None
    usual = max(widths, key=lambda width: (widths[width], width))
    return next(number for number, count in enumerate(filled, start=1) if count >= _NEARLY_ALL * usual)


def proposed_header_row(rows: Sequence[_Row], read: int) -> int | None:
    """Return the row that is more likely the header than the one that was read as it, numbered from 1; else None.

    A proposal interrupts people, so there is none where the row that was read may be the upper row of a header of
    several rows: those have names above blanks to the right, and blanks below a name that takes both rows.

    Args:
        rows: as in `guess_header_row`.
        read: number of the row that was read as the header.
    """
    guess = guess_header_row(rows)
    if guess is None or guess <= read or guess >= len(rows):
        return None
    header = [cell.strip() for cell in _filled(rows[guess - 1])]
    width = max(len(_filled(row)) for row in rows[guess - 1 :])
    are_names = len(set(header)) == len(header) and not any(_NUMBER.fullmatch(name) for name in header)
    is_note = all(_is_note(row, width) for row in rows[read - 1 : guess - 1])
    return guess if len(header) == width and are_names and is_note else None


def split_lines(text: str, delimiter: str, *, most: int = LOOKED_AT) -> list[list[str]]:
    """Return the cells of the first lines of a text, each line by itself, as an editor numbers them."""
    lines = _LINE.split(text, maxsplit=most)[:most]
    return [_cells(line, delimiter) for line in lines]


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return line.split(delimiter)


def _is_note(row: _Row, width: int) -> bool:
    """Return whether a row has cells on the left only, at most half of the table's."""
    filled = [cell is not None and bool(cell.strip()) for cell in row]
    count = sum(filled)
    return count <= _AT_MOST * width and all(filled[:count])


def _filled(row: _Row) -> list[str]:
    return [cell for cell in row if cell is not None and cell.strip()]
