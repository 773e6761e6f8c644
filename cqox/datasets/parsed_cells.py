"""Records of a regular delimited text become columns of numbers and of texts, by polars.

Where a text is large, its cells are in memory as long as they are small when parsed, and on disk otherwise.
"""

from contextlib import suppress

import polars as pl

from cqox.datasets.csv_scan import Shape
from cqox.datasets.dialect import Dialect
from cqox.datasets.sampled_types import SAMPLE_ROWS, sampled_types, wrongly_typed
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.temp_files import Scratch, Source

__all__ = ["parsed_cells"]

type _Types = dict[str, type[pl.DataType]]

_HELD_BYTES = 384 << 20
"""Size of parsed cells up to which they are in memory, which spares writing and reading them: with what parsing takes
and a column that is being interpreted, a worker stays below 1 GiB."""

_NUMBER_BYTES, _TEXT_BYTES, _WITHIN_BYTES = 8, 16, 12
"""Sizes of a number, and of a text up to the length of the last; a longer one takes its length besides."""


def parsed_cells(
    source: Source, dialect: Dialect, shape: Shape, scratch: Scratch | None, *, typed: bool
) -> pl.DataFrame | SpooledCells:
    """Return the records below the header, blank ones included, in columns named by their place from "0" on.

    Args:
        source: UTF-8 whose quotes are those of the standard.
        dialect: its delimiter and its header.
        shape: what a scan of it found.
        scratch: where cells that take much memory are written; all are in memory if None, or if it has no room.
        typed: whether columns are numbers where each of their cells is one, for which `shape` has looked at cells;
            all are text otherwise, and on disk where there is a scratch.

    Raises:
        PolarsError: the text cannot be parsed.
    """
    texts: _Types = {f"{position}": pl.String for position in range(len(dialect.header))}
    file = _File(source, dialect, shape)
    if scratch is not None:
        # Without room for it, it is read into memory; what cannot be parsed fails there again.
        with suppress(pl.exceptions.PolarsError, OSError):
            return file.typed(texts, scratch) if typed else file.written(texts, scratch)
    return file.scanned(texts).collect()


class _File:
    def __init__(self, source: Source, dialect: Dialect, shape: Shape) -> None:
        self._source = source
        self._dialect = dialect
        self._shape = shape
        self._row_bytes = source.size / max(shape.records, 1)

    def typed(self, texts: _Types, scratch: Scratch) -> pl.DataFrame | SpooledCells:
        """Numbers where all cells of a column are some, and texts."""
        sample = self.scanned(texts, rows=SAMPLE_ROWS).collect()
        types = sampled_types(sample, self._shape)
        held = self._bytes(sample, types) <= _HELD_BYTES
        cells = self._as_types(types, None if held else scratch)
        wrong = wrongly_typed(cells, types, self._shape, self._dialect.header)
        if not wrong:
            return cells
        if isinstance(cells, SpooledCells):
            return cells.replaced(self.written(texts, scratch, wrong))
        types |= dict.fromkeys(wrong, pl.String)
        if self._bytes(sample, types) <= _HELD_BYTES:
            return cells.with_columns(self.scanned(texts).select(wrong).collect())
        del cells
        return self._as_types(types, scratch)

    def _as_types(self, types: _Types, scratch: Scratch | None) -> pl.DataFrame | SpooledCells:
        """The records, in memory or in a scratch, with null for what is no number in a column of numbers."""

        def parsed(*, lenient: bool) -> pl.DataFrame | SpooledCells:
            cells = self.scanned(types, lenient=lenient)
            return cells.collect() if scratch is None else SpooledCells.written(cells, _path(scratch), self._row_bytes)

        if all(dtype == pl.String for dtype in types.values()):
            return parsed(lenient=False)
        # A parser that stops at what is no number is faster, and such cells are rare or soon found.
        with suppress(pl.exceptions.ComputeError):
            return parsed(lenient=False)
        return parsed(lenient=True)

    def written(self, texts: _Types, scratch: Scratch, columns: list[str] | None = None) -> SpooledCells:
        cells = self.scanned(texts)
        return SpooledCells.written(
            cells if columns is None else cells.select(columns), _path(scratch), self._row_bytes
        )

    def scanned(self, types: _Types, *, rows: int | None = None, lenient: bool = False) -> pl.LazyFrame:
        quoted = self._shape.quoted
        return pl.scan_csv(
            self._source.path,
            has_header=False,
            skip_rows=1,
            n_rows=rows,
            schema=types,
            separator=self._dialect.delimiter,
            quote_char='"' if quoted else None,
            # Without this a cell of two quotes is an empty text, and a cell of nothing is null.
            null_values=[""] if quoted else None,
            # What is no number is null, and found by the number of nulls.
            ignore_errors=lenient,
            glob=False,
        )

    def _bytes(self, sample: pl.DataFrame, types: _Types) -> float:
        """About the size that the records take in memory, from the first ones as texts and the size of the file."""
        rows, records = max(sample.height, 1), self._shape.records
        fixed, long, read = 0, 0, 0.0
        for name, dtype in types.items():
            lengths = sample[name].str.len_bytes()
            length = int(lengths.sum()) / rows
            if dtype == pl.String:
                fixed += _TEXT_BYTES
                long += int(lengths.filter(lengths > _WITHIN_BYTES).sum())
            else:
                fixed += _NUMBER_BYTES
                length = max(length, len(f"{records}")) if _counts_up(sample[name], dtype) else length
            read += length + 1
        # What the records are longer than the first ones on average may be long texts.
        longer = max(self._source.size - records * read, 0) if pl.String in types.values() else 0
        # Twice, for long texts are copied when their column is interpreted.
        return records * fixed + records * long / rows + longer


def _counts_up(texts: pl.Series, dtype: type[pl.DataType]) -> bool:
    """Say if whole numbers rise, as ids do, which later take as many digits as the number of the records."""
    return dtype == pl.Int64 and texts.n_unique() > 1 and texts.cast(pl.Int64, strict=False).is_sorted()


def _path(scratch: Scratch) -> str:
    return f"/dev/fd/{scratch.open().fileno()}"
