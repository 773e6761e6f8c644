"""Comma, tab, semicolon and bar separated text becomes columns of text.

polars reads what is regular. What is not (a quote inside an unquoted field, line ends of bare carriage returns, a blank
first row) is read by the standard library's csv module, slower and literally. Ragged records are refused by row number.
"""

import csv
from collections.abc import Sequence

import polars as pl

from cqox.datasets.dialect import Dialect, find_dialect
from cqox.datasets.headers import name_columns
from cqox.datasets.limits import Limits, exceeded
from cqox.datasets.raw import Raw
from cqox.datasets.scratch import Source
from cqox.datasets.shape import Ragged, Shape, scan
from cqox.errors import LimitExceeded, UnreadableFile

__all__ = ["read_delimited"]

_CHUNK_ROWS = 50_000
_SHOWN = 8


def read_delimited(source: Source, limits: Limits, *, delimiter: str | None = None) -> Raw:
    """The cells of UTF-8 text as columns of text, empty cells as null.

    Args:
        source: UTF-8 without a byte order mark.
        limits: checked on a scan of the bytes, before they are parsed.
        delimiter: the client's choice.

    Raises:
        UnreadableFile: ragged records or a quotation mark that is never closed, with row numbers.
        LimitExceeded: too many rows or columns, or too long a cell.
    """
    head = source.head()
    text = head.decode("utf-8", errors="ignore")
    dialect = find_dialect(text, complete=len(head) == source.size, asked=delimiter, limits=limits)
    width = len(dialect.header)
    limits.check_shape(0, width)
    frame, notes = _slowly(source, dialect, limits) if dialect.bare_returns else _quickly(source, dialect, limits)
    headers, named = name_columns(dialect.header)
    frame.columns = [header.name for header in headers]
    return Raw(
        headers=headers,
        frame=frame,
        format=f"delimited text ({dialect.name})",
        notes=(*named, *_looks_like_data(dialect), *notes),
    )


def _quickly(source: Source, dialect: Dialect, limits: Limits) -> tuple[pl.DataFrame, tuple[str, ...]]:
    width = len(dialect.header)
    shape = scan(source, dialect.delimiter, width, limits)
    if shape.odd_quotes or shape.unclosed or (shape.blank and shape.blank[0] <= 1):
        return _slowly(source, dialect, limits)
    if shape.ragged_count:
        raise _ragged(shape.ragged, shape.ragged_count, width, dialect)
    rows = shape.records - 1
    if rows == len(shape.blank):
        return pl.DataFrame(schema=_schema(width)), ()
    try:
        frame = pl.read_csv(
            source.path,
            has_header=False,
            skip_rows=1,
            schema=_schema(width),
            separator=dialect.delimiter,
            quote_char='"' if shape.quoted else None,
            # Without this a cell of two quotes is an empty text, and a cell of nothing is null.
            null_values=[""] if shape.quoted else None,
            glob=False,
        )
    except pl.exceptions.PolarsError:
        return _slowly(source, dialect, limits)
    if frame.height != rows:
        # The scan and the parser disagree on where records end; the csv module has the last word.
        return _slowly(source, dialect, limits)
    return _without_blank(frame, shape), _blank_note(len(shape.blank) - _at_the_end(shape))


def _without_blank(frame: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    if not shape.blank:
        return frame
    blank = pl.Series([position - 1 for position in shape.blank], dtype=pl.UInt32)
    return frame.with_row_index("row").filter(~pl.col("row").is_in(blank.implode())).drop("row")


def _at_the_end(shape: Shape) -> int:
    count = 0
    while count < len(shape.blank) and shape.blank[-1 - count] == shape.records - 1 - count:
        count += 1
    return count


def _blank_note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return ("1 blank line was skipped." if count == 1 else f"{count:,} blank lines were skipped.",)


def _slowly(source: Source, dialect: Dialect, limits: Limits) -> tuple[pl.DataFrame, tuple[str, ...]]:
    width = len(dialect.header)
    parts: list[pl.DataFrame] = []
    chunk: list[list[str]] = []
    ragged: list[Ragged] = []
    ragged_count = rows = 0
    started = False
    with open(source.path, encoding="utf-8", newline="") as file:
        csv.field_size_limit(max(limits.max_field_bytes, 1))
        reader = csv.reader(file, delimiter=dialect.delimiter, skipinitialspace=True, strict=True)
        number = 0
        try:
            for number, record in enumerate(reader, start=1):
                if not record:
                    continue
                if not started:
                    started = True
                    continue
                rows += 1
                if len(record) != width:
                    ragged_count += 1
                    if len(ragged) < _SHOWN:
                        ragged.append(Ragged(number, len(record)))
                    continue
                chunk.append(record)
                if len(chunk) == _CHUNK_ROWS:
                    parts.append(_columns(chunk, width))
                    chunk = []
                    limits.check_shape(rows, width)
        except csv.Error as error:
            raise _malformed(error, number + 1, reader.line_num, limits) from error
    if ragged_count:
        raise _ragged(ragged, ragged_count, width, dialect)
    limits.check_shape(rows, width)
    parts.append(_columns(chunk, width))
    return pl.concat(parts), ()


def _columns(records: Sequence[Sequence[str]], width: int) -> pl.DataFrame:
    columns = zip(*records, strict=True) if records else ((),) * width
    return pl.DataFrame(
        [
            pl.Series(name, [cell or None for cell in cells], dtype=pl.String)
            for name, cells in zip(_schema(width), columns, strict=True)
        ]
    )


def _schema(width: int) -> dict[str, type[pl.DataType]]:
    return {f"{position}": pl.String for position in range(width)}


def _ragged(ragged: Sequence[Ragged], count: int, width: int, dialect: Dialect) -> UnreadableFile:
    shown = ", ".join(f"row {record.row:,} has {record.fields:,}" for record in ragged)
    more = f" and {count - len(ragged):,} more rows" if count > len(ragged) else ""
    return UnreadableFile(
        f"The rows have different numbers of fields. The header (row 1) has {width:,}, cut at each {dialect.name}; "
        f"{shown}{more}. Put cells that contain the delimiter in double quotes, remove titles above the header, or "
        "name the right delimiter."
    )


def _malformed(error: csv.Error, row: int, line: int, limits: Limits) -> UnreadableFile | LimitExceeded:
    if "field larger" in str(error):
        return exceeded("bytes in one cell", limits.max_field_bytes, limits.max_field_bytes, at_least=True)
    if "unexpected end" in str(error):
        return UnreadableFile(
            f"A double quote is opened in row {row:,} and never closed: the text ends at line {line:,} inside that "
            "cell. Close it, or write a quote inside a cell as two."
        )
    return UnreadableFile(
        f"The quotes in line {line:,} are malformed ({error}). Put the whole cell in double quotes, and write a quote "
        "inside it as two."
    )


def _looks_like_data(dialect: Dialect) -> tuple[str, ...]:
    def number(cell: str) -> bool:
        try:
            float(cell)
        except ValueError:
            return False
        return True

    if len(dialect.header) > 1 and all(number(cell) for cell in dialect.header):
        return (
            "The first row was read as the header although every cell of it is a number; add a header if it is data.",
        )
    return ()
