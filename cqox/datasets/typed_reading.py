"""Raw columns become typed ones, one after another, so that a table is never in memory as both."""

from collections.abc import Iterator, Sequence

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.headers import Header
from cqox.datasets.interpret import Interpreted, interpret
from cqox.datasets.kinds import describe_column, describe_long_texts, has_kept_levels
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.sliced_repeats import read_repeated
from cqox.datasets.sliced_texts import read_sliced
from cqox.datasets.slices import Slices, slices_of
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import TypedColumns
from cqox.errors import LimitExceeded

__all__ = ["ColumnReader", "TextSizes"]

_LEAST_BYTES = 1 << 24
"""Size of the texts of a column in memory up to which they are understood together."""


class ColumnReader:
    """Reads the columns of a raw table into a typed one.

    Args:
        raw: the raw table, which its owner should let go of: each column is when it has been read.
        typed: where the columns go.
        limits: what they may cost.
        decimal: the decimal mark of the file.
        na_tokens: the client's texts for missing values.
        sizes: those of the texts so far.
    """

    def __init__(
        self,
        raw: Raw,
        typed: TypedColumns,
        limits: Limits,
        *,
        decimal: str,
        na_tokens: Sequence[str] | None,
        sizes: "TextSizes",
    ) -> None:
        self._spooled = raw.spooled
        names = [header.name for header in raw.headers]
        self._held = {} if raw.spooled is not None else dict(zip(names, raw.frame.get_columns(), strict=True))
        self._first_row = raw.first_row
        self._texts = {name for name, dtype in raw.frame.schema.items() if dtype == pl.String}
        self._typed = typed
        self._limits = limits
        self._decimal = decimal
        self._na_tokens = na_tokens
        self._sizes = sizes

    def read(self, header: Header) -> Column:
        """Read one column, and return its description.

        Raises:
            LimitExceeded: its texts are too large.
        """
        spooled = self._spooled
        if spooled is None:
            return self._in_memory(header, self._held.pop(header.name))
        if header.name in self._texts:
            column = self._texts_on_disk(header, spooled)
            if column is not None:
                return column
        cells = spooled[header.name]
        interpreted = interpret(cells, decimal=self._decimal, na_tokens=self._na_tokens)
        return self._add(header, interpreted, spooled.place(header.name), cells.dtype)

    def _texts_on_disk(self, header: Header, spooled: SpooledCells) -> Column | None:
        """Read a column of texts in slices; return None, with nothing done, if all of it has to be in memory."""
        place = spooled.place(header.name)

        checked = spooled.height if spooled.is_checked else 0

        def cells() -> Iterator[pl.Series]:
            nonlocal checked
            start = 0
            for part in spooled.slices(header.name):
                if start >= checked:
                    self._sizes.check(part)
                    checked = start + part.len()
                start += part.len()
                yield part

        column = self._rare_texts(header, cells, place)
        if column is not None:
            return column
        repeated = read_repeated(cells, decimal=self._decimal, na_tokens=self._na_tokens)
        has_texts = repeated is None or repeated.values.dtype in (pl.Enum, pl.String)
        if has_texts and not (repeated and has_kept_levels(header, repeated, self._limits)):
            # Texts again, which would not fit memory together.
            column = self._rare_texts(header, cells, place, may_repeat=True)
        for _ in cells() if checked < spooled.height else ():
            # A text that is too long is found before all are in memory.
            pass
        return self._add(header, repeated) if column is None and repeated is not None else column

    def _in_memory(self, header: Header, cells: pl.Series) -> Column:
        if cells.dtype == pl.String and int(cells.str.len_bytes().sum()) > _LEAST_BYTES:
            column = self._rare_texts(header, lambda: slices_of(cells), cells)
            if column is not None:
                return column
        return self._add(header, interpret(cells, decimal=self._decimal, na_tokens=self._na_tokens))

    def _add(
        self,
        header: Header,
        interpreted: Interpreted,
        place: tuple[str, int] | None = None,
        dtype: pl.DataType | None = None,
    ) -> Column:
        """Describe and keep a column; numbers that are in an Arrow file as they are stay there.

        Args:
            header: its names.
            interpreted: its values.
            place: where its cells are.
            dtype: of these.
        """
        series, column = describe_column(header, interpreted, self._limits, first_row=self._first_row)
        if place is not None and series.dtype == dtype and dtype in (pl.Int64, pl.Float64):
            self._typed.refer(header.name, series.dtype, place)
        else:
            self._typed.add(series)
        return column

    def _rare_texts(
        self, header: Header, cells: Slices, place: pl.Series | tuple[str, int] | None, *, may_repeat: bool = False
    ) -> Column | None:
        """Read a column as one of texts that rarely repeat; return None, with nothing done, if it is another one.

        Args:
            header: its names.
            cells: its cells.
            place: the same cells in memory or in an Arrow file, where they can stay; None if they cannot.
            may_repeat: whether to read texts that repeat as well.
        """
        texts = read_sliced(cells, decimal=self._decimal, na_tokens=self._na_tokens, may_repeat=may_repeat)
        if isinstance(texts, Interpreted):
            return self._add(header, texts)
        column = None if texts is None else describe_long_texts(header, texts, self._limits)
        if texts is None or column is None:
            return None
        if texts.is_changed or place is None:
            self._typed.add_in_slices(header.name, texts.values, texts.size)
        elif isinstance(place, pl.Series):
            self._typed.add(place.alias(header.name))
        else:
            self._typed.refer(header.name, pl.String(), place, texts.size)
        return column


class TextSizes:
    """Refuses texts that only a dictionary makes small: their sizes are known without expanding them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0

    def check(self, series: pl.Series) -> None:
        """Add a column; raise LimitExceeded if a cell of it is too long, or all columns so far are."""
        if series.dtype != pl.String:
            return
        sizes = series.str.len_bytes()
        longest, most = sizes.max(), self._limits.max_field_bytes
        if isinstance(longest, int) and longest > most:
            raise LimitExceeded(Message("datasets.cell-too-large", column=series.name, most=most, size=longest))
        self._total += int(sizes.sum() or 0)
        if self._total > self._limits.max_expanded_bytes:
            raise LimitExceeded(
                Message("datasets.texts-too-large", most=self._limits.max_expanded_bytes, size=self._total)
            )
