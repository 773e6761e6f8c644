"""Numbers, codes and dates in texts, read from one slice of a column at a time.

What a slice says holds for the column only where all slices say the same: one notation, one unit, one order of year,
month and day. Where they do not, the column has to be read whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.dates import Dates, is_ambiguous, read_dates, read_in_order
from cqox.datasets.interpret import Interpreted, whole_if_exact
from cqox.datasets.missing import without
from cqox.datasets.numbers import LEADING_ZEROS, are_in_notation, read_numbers
from cqox.datasets.slices import Slices

__all__ = ["Codes", "read_values"]

_PERCENTAGES, _UNIT, _SCALES = "datasets.note-percentages", "datasets.note-unit-removed", "datasets.note-scales"
_COMMA = "datasets.note-decimal-comma"
_ORDER = (
    "datasets.note-full-width-digits", "datasets.note-points-of-thousands", "datasets.note-commas-of-thousands",
    _COMMA, _PERCENTAGES, _UNIT, _SCALES, "datasets.note-parentheses", "datasets.note-triangles",
)  # fmt: skip
"""Notes on numbers as `read_numbers` orders them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Says that the texts of a column are codes of digits.

    Attributes:
        note: why they are no numbers.
    """

    note: Message


def read_values(texts: Slices, *, decimal: str, tokens: Sequence[str]) -> Interpreted | Codes | None:
    """Return a column of numbers, of codes or of dates; None if it may be anything else.

    Args:
        texts: tidy, and null where missing.
        decimal: the decimal mark of the file.
        tokens: texts that are missing values among numbers and dates.
    """
    for reader in (_Numbers(decimal), _Dates()):
        if all(reader.add(without(part, tokens)) for part in texts()):
            return reader.result(lambda: (without(part, tokens) for part in texts()))
    return None


class _Numbers:
    """Numbers or codes of the slices so far."""

    def __init__(self, decimal: str) -> None:
        self._decimal = decimal
        self._values: list[pl.Series] = []
        self._infinite: list[pl.Series] = []
        self._plain: list[bool] = []
        self._notes: list[Mapping[str, Message]] = []
        self._codes: list[Message] = []

    def add(self, part: pl.Series) -> bool:
        """Return whether all slices so far may be one column of numbers or of codes."""
        known = part.drop_nulls()
        if known.is_empty():
            self._values.append(part.cast(pl.Int64))
            self._infinite.append(part.is_not_null())
            return True
        reading = read_numbers(known, decimal=self._decimal)
        self._plain.append(reading.is_plain)
        if reading.is_code and reading.note is not None:
            self._codes.append(reading.note)
        elif reading.numbers is None:
            return False
        else:
            self._notes.append({note.code: note for note in reading.numbers.notes})
            self._values.append(_spread(reading.numbers.values, part))
            self._infinite.append(_spread(reading.numbers.infinite, part).fill_null(value=False))
        return not self._codes or all(self._plain)

    def result(self, texts: Slices) -> Interpreted | Codes | None:
        if self._codes:
            return Codes(note=LEADING_ZEROS if LEADING_ZEROS in self._codes else self._codes[0])
        notes = {code: note for each in self._notes for code, note in each.items()}
        written = [each for plain, each in zip(self._plain, self._notes, strict=True) if not plain]
        if any(_UNIT in each and each[_UNIT] != notes[_UNIT] for each in written):
            return None
        for code in (_PERCENTAGES, _COMMA):
            if code in notes and not all(code in each for each in written):
                return None
        if _PERCENTAGES in notes and any(self._plain):
            return None
        if written and any(self._plain):
            # What programs write may be no number among numbers that people write.
            swapped = _COMMA in notes
            if not all(are_in_notation(part.drop_nulls(), swapped=swapped).all() for part in texts()):
                return None
        if _SCALES in notes:
            listed = (each[_SCALES].params["scales"] for each in written if _SCALES in each)
            scales = {str(scale) for scale in chain.from_iterable(listed)}  # type: ignore[arg-type]
            notes[_SCALES] = Message("datasets.note-scales", scales=sorted(scales))
        values = _joined(self._values)
        return Interpreted(
            values=whole_if_exact(values) if values.dtype == pl.Float64 else values,
            infinite=tuple(pl.concat(self._infinite).arg_true().to_list()),
            notes=tuple(notes[code] for code in _ORDER if code in notes),
        )


class _Dates:
    """Dates of the slices so far."""

    def __init__(self) -> None:
        self._found: list[Dates] = []
        self._values: list[pl.Series | None] = []

    def add(self, part: pl.Series) -> bool:
        """Return whether all slices so far may be one column of dates."""
        known = part.drop_nulls()
        if known.is_empty():
            self._values.append(part.cast(pl.Date, strict=False))
            return True
        dates, why = read_dates(known)
        if dates is not None:
            self._found.append(dates)
            self._values.append(_spread(dates.values, part))
            return dates.notes == self._found[0].notes
        # Other slices may show which part is the day.
        self._values.append(None)
        return is_ambiguous(why)

    def result(self, texts: Slices) -> Interpreted | None:
        styles = {dates.style for dates in self._found}
        pending = any(values is None for values in self._values)
        if len(styles) != 1 and styles != {"dotted", "day first"}:
            return None
        style = "day first" if "day first" in styles else styles.pop()
        if pending and style not in ("day first", "month first"):
            return None
        if pending:
            for place, part in enumerate(texts()):
                if self._values[place] is None:
                    dates = read_in_order(part.drop_nulls(), style)
                    if dates is None or dates.notes != self._found[0].notes:
                        return None
                    self._values[place] = _spread(dates.values, part)
        return Interpreted(
            values=_joined([values for values in self._values if values is not None]), notes=self._found[0].notes
        )


def _spread(values: pl.Series, part: pl.Series) -> pl.Series:
    """Return values of the rows of a slice that have a text, with null in the others."""
    if not part.null_count():
        return values
    known = part.is_not_null()
    places = pl.DataFrame({"known": known, "place": known.cum_sum()})
    return values.gather(places.select(pl.when("known").then(pl.col("place") - 1)).to_series())


def _joined(parts: Sequence[pl.Series]) -> pl.Series:
    """Return slices as one column, of real numbers or of moments if one of them is."""
    dtypes = [part.dtype for part in parts]
    wide = next((dtype for dtype in dtypes if dtype not in (pl.Int64, pl.Date)), dtypes[0])
    return pl.concat(part.cast(wide) for part in parts)
