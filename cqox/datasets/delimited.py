"""Comma, tab, semicolon and bar separated text becomes columns of text.

polars reads what is regular. What is not (a quote inside an unquoted field, line ends of bare carriage returns, a blank
first row) is read by the standard library's csv module, slower and literally. Ragged records are refused by row number.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import polars as pl

from cqox.contract.messages import Message, joined
from cqox.datasets.csv_scan import Ragged, Shape, scan
from cqox.datasets.dialect import Dialect, find_dialect
from cqox.datasets.header_guess import proposed_header_row, split_lines
from cqox.datasets.headers import name_columns, title_note
from cqox.datasets.limits import Limits, exceeded
from cqox.datasets.parsed_cells import parsed_cells
from cqox.datasets.raw import Raw
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.temp_files import Scratch, Source
from cqox.errors import LimitExceeded, UnreadableFile

if TYPE_CHECKING:
    import _csv

__all__ = ["read_delimited"]

_CHUNK_ROWS = 50_000
_SHOWN = 8
_MAX_TITLES = 10
_SPOOLED_BYTES = 1 << 26
"""Size of a text from which on its cells are on disk, and a column at a time is in memory."""

_LEAST_TITLED = 3
"""Columns from which on a first record of one cell is a title, and no header without names."""


def read_delimited(
    source: Source,
    limits: Limits,
    *,
    delimiter: str | None = None,
    skipped: int | None = None,
    scratch: Scratch | None = None,
    typed: bool = False,
) -> Raw:
    """The cells of UTF-8 text as columns of text, empty cells as null.

    Args:
        source: UTF-8 without a byte order mark.
        limits: checked on a scan of the bytes, before they are parsed.
        delimiter: the client's choice.
        skipped: lines of the file above the source, if the client has chosen the row of the header; it is the first
            one then.
        scratch: where the cells of a large text are written; they are in memory if None.
        typed: whether columns of a large text may be numbers, where each of their cells is one as programs write them.

    Raises:
        UnreadableFile: ragged records or a quotation mark that is never closed, with row numbers.
        LimitExceeded: too many rows or columns, or too long a cell.
    """
    head = source.head()
    start = head.decode("utf-8", errors="ignore")
    dialect = find_dialect(start, complete=len(head) == source.size, asked=delimiter, limits=limits)
    width = len(dialect.header)
    limits.check_shape(0, width)
    lines = split_lines(start, dialect.delimiter)
    try:
        text, notes = (
            _slowly(source, dialect, limits)
            if dialect.bare_returns
            else _quickly(source, dialect, limits, scratch, typed=typed and not _may_be_title(dialect.header))
        )
    except _RaggedRows as error:
        raise _with_proposal(error, lines) if skipped is None else UnreadableFile(error.detail) from error
    spooled = text if isinstance(text, SpooledCells) else None
    frame = text.head(_MAX_TITLES) if isinstance(text, SpooledCells) else text
    originals, titles = dialect.header, 0 if skipped is not None else _titles(dialect.header, frame)
    if titles:
        if spooled is not None:
            frame, spooled = spooled.in_memory(), None
        originals, frame = frame.row(titles - 1), frame.slice(titles)
        notes = (*title_note(titles), *notes)
    headers, named = name_columns(originals)
    frame.columns = names = [header.name for header in headers]
    return Raw(
        headers=headers,
        frame=frame,
        format=Message("datasets.delimited-text", delimiter=dialect.name),
        notes=(*title_note(skipped or 0), *named, *_looks_like_data(originals), *notes),
        first_row=(skipped or 0) + titles + 2,
        proposed_header_row=None if skipped is not None else proposed_header_row(lines, _line_of(originals, lines)),
        spooled=spooled and spooled.named(names),
    )


class _RaggedRows(UnreadableFile):
    """Records differ in their number of fields."""


def _with_proposal(error: _RaggedRows, lines: Sequence[Sequence[str]]) -> UnreadableFile:
    """Return the error with the row that is more likely the header, if there is one."""
    first = next((number for number, line in enumerate(lines, start=1) if any(cell.strip() for cell in line)), 1)
    row = proposed_header_row(lines, first)
    if row is None:
        return UnreadableFile(error.detail)
    detail = joined([error.detail, Message("datasets.header-may-be-in-row", row=row)])
    return UnreadableFile(detail, field="header_row", choices=[str(row)])


def _line_of(header: Sequence[str], lines: Sequence[Sequence[str]]) -> int:
    return next((number for number, line in enumerate(lines, start=1) if line == list(header)), len(lines))


def _titles(header: Sequence[str], frame: pl.DataFrame) -> int:
    """Count the one-cell records above the first full one, which is the header; 0 if it comes first.

    A program that saves a sheet as text fills up each record to the width of the table.
    """
    if not _may_be_title(header):
        return 0
    for titles, row in enumerate(frame.head(_MAX_TITLES).iter_rows(), start=1):
        filled = [cell for cell in row if cell is not None and cell.strip()]
        if len(filled) > 1:
            is_header = len(filled) == len(header) and not any(_is_number(cell) for cell in filled)
            return titles if is_header and frame.height > titles else 0
    return 0


def _may_be_title(header: Sequence[str]) -> bool:
    return len(header) >= _LEAST_TITLED and bool(header[0].strip()) and not any(cell.strip() for cell in header[1:])


def _quickly(
    source: Source, dialect: Dialect, limits: Limits, scratch: Scratch | None, *, typed: bool
) -> tuple[pl.DataFrame | SpooledCells, tuple[Message, ...]]:
    width = len(dialect.header)
    is_large = _SPOOLED_BYTES <= source.size <= limits.max_expanded_bytes
    typed = typed and is_large and scratch is not None
    shape = scan(source, dialect.delimiter, width, limits, cells=typed)
    if shape.odd_quotes or shape.unclosed or (shape.blank and shape.blank[0] <= 1):
        return _slowly(source, dialect, limits)
    if shape.ragged_count:
        raise _ragged(shape.ragged, shape.ragged_count, width, dialect)
    rows = shape.records - 1
    if rows == len(shape.blank):
        return pl.DataFrame(schema=dict.fromkeys(_names(width), pl.String)), ()
    try:
        frame = parsed_cells(source, dialect, shape, scratch if is_large else None, typed=typed)
    except pl.exceptions.PolarsError:
        return _slowly(source, dialect, limits)
    if frame.height != rows:
        # The scan and the parser disagree on where records end; the csv module has the last word.
        return _slowly(source, dialect, limits)
    return _without_blank(frame, shape), _blank_note(len(shape.blank) - _at_the_end(shape))


def _without_blank(frame: pl.DataFrame | SpooledCells, shape: Shape) -> pl.DataFrame | SpooledCells:
    if not shape.blank:
        return frame
    if isinstance(frame, SpooledCells):
        blank = pl.Series([position - 1 for position in shape.blank], dtype=pl.UInt32)
        kept = pl.Series([True]).new_from_index(0, frame.rows).scatter(blank, values=False)
        return replace(frame, kept=kept)
    blank = pl.Series([position - 1 for position in shape.blank], dtype=pl.UInt32)
    return frame.with_row_index("row").filter(~pl.col("row").is_in(blank.implode())).drop("row")


def _at_the_end(shape: Shape) -> int:
    count = 0
    while count < len(shape.blank) and shape.blank[-1 - count] == shape.records - 1 - count:
        count += 1
    return count


def _blank_note(count: int) -> tuple[Message, ...]:
    return (Message("datasets.blank-lines", lines=count),) if count else ()


def _slowly(source: Source, dialect: Dialect, limits: Limits) -> tuple[pl.DataFrame, tuple[Message, ...]]:
    csv.field_size_limit(max(limits.max_field_bytes, 1))
    records = _Records(dialect, limits)
    try:
        return records.read(source, csv.QUOTE_MINIMAL), ()
    except csv.Error as error:
        refused = _malformed(error, records, limits)
        cause = error
    if dialect.delimiter == "\t" and not isinstance(refused, LimitExceeded):
        # Databases write tab separated text without quoting; a quote is a character then, as in 5" or inches.
        try:
            frame = _Records(dialect, limits).read(source, csv.QUOTE_NONE)
        except UnreadableFile:
            raise refused from cause
        return frame, (Message("datasets.literal-quotes", row=records.row + 1),)
    raise refused from cause


class _Records:
    """The records of a text by the csv module; `row` is the last one that was whole, `line` where the reader stands."""

    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        self._dialect = dialect
        self._limits = limits
        self._ragged: list[Ragged] = []
        self._ragged_count = 0
        self.row = 0
        self.line = 0

    def read(self, source: Source, quoting: Literal[0, 3]) -> pl.DataFrame:
        """All records below the header, blank lines left out.

        Raises:
            csv.Error: the quotes are malformed, or a field is too long.
            UnreadableFile: ragged records.
        """
        width = len(self._dialect.header)
        parts: list[pl.DataFrame] = []
        chunk: list[list[str]] = []
        rows = -1
        with open(source.path, encoding="utf-8", newline="") as file:
            reader = csv.reader(
                file, delimiter=self._dialect.delimiter, skipinitialspace=True, strict=True, quoting=quoting
            )
            for record in self._numbered(reader):
                rows += 1
                if rows == 0 or not self._fits(record, width):
                    continue
                chunk.append(record)
                if len(chunk) == _CHUNK_ROWS:
                    parts.append(_columns(chunk, width))
                    chunk = []
                    self._limits.check_shape(rows, width)
        if self._ragged_count:
            raise _ragged(self._ragged, self._ragged_count, width, self._dialect)
        self._limits.check_shape(max(rows, 0), width)
        parts.append(_columns(chunk, width))
        return pl.concat(parts)

    def _numbered(self, reader: "_csv.Reader") -> Iterator[list[str]]:
        """Records that are not blank, while `row` and `line` follow the reader."""
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            finally:
                self.line = reader.line_num
            self.row += 1
            if record:
                yield record

    def _fits(self, record: list[str], width: int) -> bool:
        if len(record) == width:
            return True
        self._ragged_count += 1
        if len(self._ragged) < _SHOWN:
            self._ragged.append(Ragged(self.row, len(record)))
        return False


def _columns(records: Sequence[Sequence[str]], width: int) -> pl.DataFrame:
    columns = zip(*records, strict=True) if records else ((),) * width
    return pl.DataFrame(
        [
            pl.Series(name, [cell or None for cell in cells], dtype=pl.String)
            for name, cells in zip(_names(width), columns, strict=True)
        ]
    )


def _names(width: int) -> list[str]:
    return [f"{position}" for position in range(width)]


def _ragged(ragged: Sequence[Ragged], count: int, width: int, dialect: Dialect) -> _RaggedRows:
    if width == 1:
        first = ragged[0]
        return _RaggedRows(
            Message("datasets.first-row-is-title", delimiter=dialect.name, fields=first.fields, row=first.row)
        )
    shown = [Message("datasets.row-has-fields", fields=record.fields, row=record.row) for record in ragged]
    more = count - len(ragged)
    return _RaggedRows(
        Message("datasets.ragged-rows-and-more", delimiter=dialect.name, more=more, rows=shown, width=width)
        if more > 0
        else Message("datasets.ragged-rows", delimiter=dialect.name, rows=shown, width=width)
    )


def _malformed(error: csv.Error, records: _Records, limits: Limits) -> UnreadableFile | LimitExceeded:
    if "field larger" in str(error):
        return exceeded("cell bytes", limits.max_field_bytes, limits.max_field_bytes, at_least=True)
    if "unexpected end" in str(error):
        return UnreadableFile(Message("datasets.unclosed-quote", line=records.line, row=records.row + 1))
    return UnreadableFile(Message("datasets.malformed-quotes", line=records.line, reason=str(error)))


def _looks_like_data(header: Sequence[str]) -> tuple[Message, ...]:
    if len(header) > 1 and all(_is_number(cell) for cell in header):
        return (Message("datasets.header-of-numbers"),)
    return ()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
