"""From a file of unknown make to a typed table, or to an error that says what to change."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.columnar import read_arrow_file, read_arrow_stream, read_parquet
from cqox.datasets.delimited import read_delimited
from cqox.datasets.encodings import TextEncoding, as_utf8, find_encoding
from cqox.datasets.expansion import expand
from cqox.datasets.findings import detect
from cqox.datasets.headers import unnamed_note
from cqox.datasets.interpret import COMMAS_LOOKED_AT, may_need_decimal_comma, needs_decimal_comma
from cqox.datasets.json_rows import looks_like_json, read_json
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.read_options import ReadOptions
from cqox.datasets.reshaping import reshaped, with_header_rows
from cqox.datasets.signatures import container
from cqox.datasets.slices import first_known
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.spreadsheet import read_spreadsheet
from cqox.datasets.table import Description, Table
from cqox.datasets.temp_files import Scratch, Source
from cqox.datasets.typed_columns import OpenTable, TypedColumns
from cqox.datasets.typed_reading import ColumnReader, TextSizes
from cqox.errors import InvalidRequest, LimitExceeded, NotFound, UnreadableFile, UnusableData

__all__ = ["SEPARATOR_LINE", "open_table", "read_table"]

SEPARATOR_LINE = re.compile(r'"?sep=([,\t;|])"?\r?\n', re.IGNORECASE)
"""The line above the header into which spreadsheet programs write the delimiter."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_LOOKED_AT_BYTES = 1 << 16
_MOST_SHOWN = 20
_DEFAULT_LIMITS = Limits()
_DEFAULT_OPTIONS = ReadOptions()


def read_table(
    path: Path,
    *,
    name: str,
    limits: Limits = _DEFAULT_LIMITS,
    options: ReadOptions = _DEFAULT_OPTIONS,
    scratch: Path | None = None,
) -> Table:
    """The table in a file.

    Format, compression, encoding and delimiter are found by content; the name and its extension decide nothing.

    Args:
        path: the file.
        name: what the client calls it.
        limits: what it may cost.
        options: what the client knows better.
        scratch: the folder whose disk holds expanded bytes while they are read; the system's one if None.

    Raises:
        UnreadableFile: no table in any format or encoding that was tried; says which, and where it failed.
        LimitExceeded: larger than the limits allow.
        UnusableData: a header without rows.
        InvalidRequest: an option that this file cannot have, such as a sheet that it lacks.
    """
    with open_table(path, name=name, limits=limits, options=options, scratch=scratch) as table:
        return Table(frame=table.cells.in_memory(), description=table.description)


@contextmanager
def open_table(
    path: Path,
    *,
    name: str,
    limits: Limits = _DEFAULT_LIMITS,
    options: ReadOptions = _DEFAULT_OPTIONS,
    scratch: Path | None = None,
) -> Iterator[OpenTable]:
    """Yield the table in a file, with the columns of a large one on the disk until the block is left.

    Args and errors are those of `read_table`.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise NotFound(Message("datasets.no-such-file", name=name)) from None
    if size == 0:
        raise UnreadableFile(Message("datasets.empty-file"))
    if size > limits.max_bytes:
        raise LimitExceeded(Message("datasets.file-too-large", most=limits.max_bytes, size=size))
    with Scratch(scratch) as files:
        source, layers = expand(Source(path=str(path), size=size), files, limits)
        if source.size == 0:
            raise UnreadableFile(Message("datasets.empty-inside"))
        compression = " in ".join(reversed(layers)) or None
        yield _typed(source, files, limits, options, name=name, compression=compression)


def _shaped(
    source: Source, files: Scratch, limits: Limits, options: ReadOptions, *, typed: bool
) -> tuple[Raw, TextEncoding | None]:
    is_reshaped = bool(options.header_rows or options.drop_rows or options.fill_down or options.unpivot is not None)
    raw, encoding = _read(source, files, limits, options, typed=typed and not is_reshaped)
    if is_reshaped:
        raw = raw.in_memory()
    return reshaped(_without_empty_margins(with_header_rows(raw, options.header_rows)), options, limits), encoding


def _read(
    source: Source, files: Scratch, limits: Limits, options: ReadOptions, *, typed: bool
) -> tuple[Raw, TextEncoding | None]:
    kind = container(source)
    if options.header_row is not None and kind in ("parquet", "arrow file", "arrow stream"):
        raise _without_header_row()
    match kind:
        case "parquet":
            return read_parquet(source, limits), None
        case "arrow file":
            return read_arrow_file(source, limits), None
        case "arrow stream":
            return read_arrow_stream(source, limits), None
        case "spreadsheet":
            return read_spreadsheet(source, limits, sheet=options.sheet, header_row=options.header_row), None
        case _:
            return _read_text(source, files, limits, options, typed=typed)


def _read_text(
    source: Source, files: Scratch, limits: Limits, options: ReadOptions, *, typed: bool
) -> tuple[Raw, TextEncoding]:
    encoding = find_encoding(source, options.encoding)
    text = as_utf8(source, encoding, files)
    head = text.head(4096).decode(errors="ignore")
    if not head.strip():
        raise UnreadableFile(Message("datasets.white-space-only"))
    if options.delimiter is None and looks_like_json(head):
        if options.header_row is not None:
            raise _without_header_row()
        return read_json(text, limits), encoding
    line = SEPARATOR_LINE.match(head)
    delimiter = options.delimiter or (line[1] if line else None)
    if options.header_row is not None:
        above = options.header_row - 1
        below = _from_byte(text, files, _start_of_line(text, above))
        return read_delimited(below, limits, delimiter=delimiter, skipped=above, scratch=files, typed=typed), encoding
    below = text if line is None else _from_byte(text, files, len(line[0].encode()))
    return read_delimited(below, limits, delimiter=delimiter, scratch=files, typed=typed), encoding


def _start_of_line(text: Source, above: int) -> int:
    """Position of the first byte below some lines.

    Raises:
        InvalidRequest: there is nothing in that line.
    """
    ends = list(islice(_LINE_END.finditer(text.head()), above))
    start = ends[-1].end() if ends else 0
    with open(text.path, "rb") as file:
        file.seek(start)
        is_blank = not file.readline(_LOOKED_AT_BYTES).strip()
    if len(ends) < above or is_blank:
        raise InvalidRequest(Message("datasets.nothing-in-header-row", row=above + 1), field="header_row")
    return start


def _from_byte(text: Source, files: Scratch, start: int) -> Source:
    if not start:
        return text
    rest = files.open()
    for block in text.blocks(skip=start):
        rest.write(block)
    return files.source(rest)


def _without_header_row() -> InvalidRequest:
    return InvalidRequest(Message("datasets.format-without-header-row"), field="header_row")


def _without_empty_margins(raw: Raw) -> Raw:
    """Without the columns and rows at the edge that a spreadsheet program exports around a table."""
    if raw.spooled is not None and raw.spooled.has_empty_last_row():
        raw = raw.in_memory()
    frame, spooled = raw.frame, raw.spooled
    column = frame.get_column if spooled is None else spooled.__getitem__
    notes = list(raw.notes)
    empty = [
        header.name
        for header in raw.headers
        if not header.original.strip() and column(header.name).null_count() == raw.height
    ]
    if empty and len(empty) < frame.width:
        frame, spooled = frame.drop(empty), spooled and spooled.without(empty)
        notes.append(Message("datasets.empty-columns", columns=len(empty)))
    rows = frame.height
    if rows and spooled is None and all(value is None for value in frame.row(-1)):
        filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
        frame = frame.head(int(filled[-1]) + 1 if filled.len() else 0)
        lost = rows - frame.height
        notes.append(Message("datasets.empty-rows", rows=lost))
    headers = tuple(header for header in raw.headers if header.name in frame.columns)
    notes = [*unnamed_note(headers), *notes]
    return replace(raw, headers=headers, frame=frame, spooled=spooled, notes=tuple(notes))


def _typed(
    source: Source, files: Scratch, limits: Limits, options: ReadOptions, *, name: str, compression: str | None
) -> OpenTable:
    # Texts for missing values and a decimal comma are looked for in texts.
    parsed = options.na is None and options.decimal in (None, ".")
    raw, encoding = _shaped(source, files, limits, options, typed=parsed)
    if raw.height == 0:
        names = [header.name for header in raw.headers[:_MOST_SHOWN]]
        raise UnusableData(
            Message("datasets.header-without-rows", columns=names) if names else Message("datasets.no-columns-no-rows")
        )
    sizes = TextSizes(limits)
    if raw.spooled is None:
        for series in raw.frame:
            sizes.check(series)
    decimal = options.decimal or _decimal(raw)
    if parsed and decimal == "," and encoding is not None and set(raw.frame.dtypes) != {pl.String}:
        # A column whose first rows are empty: the points of the numbers that were parsed mean thousands.
        raw, encoding = _shaped(source, files, limits, options, typed=False)
    headers, rows, format_, notes = raw.headers, raw.height, raw.format, raw.notes
    proposed = None if options.header_rows else raw.proposed_header_row
    typed = TypedColumns(files, rows)
    reader = ColumnReader(raw, typed, limits, decimal=decimal, na_tokens=options.na, sizes=sizes)
    del raw
    columns = [reader.read(header) for header in headers]
    description = Description(
        name=name,
        rows=rows,
        columns=tuple(columns),
        format=format_,
        encoding=encoding.name if encoding is not None else None,
        compression=compression,
        notes=(*(encoding.notes if encoding is not None else ()), *notes),
        findings=detect(typed, columns, proposed_header_row=proposed),
    )
    return OpenTable(cells=typed, description=description)


def _decimal(raw: Raw) -> str:
    columns: Iterable[pl.Series] = raw.frame if raw.spooled is None else _with_commas(raw.spooled)
    return "," if any(needs_decimal_comma(series) for series in columns) else "."


def _with_commas(spooled: SpooledCells) -> Iterator[pl.Series]:
    """Yield the columns of text that may have a decimal comma; a look at the first rows is enough for most."""
    for first in spooled.head(COMMAS_LOOKED_AT):
        if first.dtype == pl.String and (first.null_count() or first.str.contains(",", literal=True).any()):
            known = first_known(spooled.slices(first.name), COMMAS_LOOKED_AT)
            if may_need_decimal_comma(known):
                yield spooled[first.name]
