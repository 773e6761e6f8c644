"""The first rows of each sheet of a file as they are, so that a person can choose sheet and header row."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fastexcel
import polars as pl

from cqox.contract import SheetPreview
from cqox.contract.messages import Message
from cqox.datasets.dialect import find_dialect
from cqox.datasets.encodings import find_encoding
from cqox.datasets.expansion import expand
from cqox.datasets.header_guess import LOOKED_AT, guess_header_row, split_lines
from cqox.datasets.json_rows import looks_like_json
from cqox.datasets.limits import Limits
from cqox.datasets.reading import SEPARATOR_LINE
from cqox.datasets.signatures import container
from cqox.datasets.spreadsheet import check_workbook, name_of_sheet, open_workbook
from cqox.datasets.temp_files import Scratch, Source
from cqox.errors import NotFound

__all__ = ["FileLook", "look"]

_ROWS, _COLUMNS, _CHARACTERS = 20, 100, 200
_SHEETS = 100
"""Sheets whose cells are shown; further ones have their names."""

type _Row = Sequence[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLook:
    """The look of a file; attributes as in `cqox.contract.FileSheets`."""

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    sheets: tuple[SheetPreview, ...] = ()
    note: Message | None = None


def look(
    path: Path,
    *,
    limits: Limits,
    sheet: str | int | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    scratch: Path | None = None,
) -> FileLook:
    """Return the first rows of a file.

    Args:
        path: the file, as it was uploaded.
        limits: what it may cost.
        sheet: the sheet of a workbook that is wanted alone, by name or position from 0.
        encoding: that of its text; detected if None.
        delimiter: the client's choice; detected if None.
        scratch: the folder whose disk holds expanded bytes.

    Raises:
        UnreadableFile, LimitExceeded: as in `read_table`.
        InvalidRequest: no such sheet.
    """
    try:
        source = Source(path=str(path), size=path.stat().st_size)
    except FileNotFoundError:
        raise NotFound(Message("datasets.no-such-file", name=path.name)) from None
    with Scratch(scratch) as files:
        source, _ = expand(source, files, limits)
        match container(source):
            case "parquet":
                return FileLook(format="parquet", note=Message("datasets.one-table-in-file"))
            case "arrow file" | "arrow stream":
                return FileLook(format="arrow", note=Message("datasets.one-table-in-file"))
            case "spreadsheet":
                check_workbook(source, limits)
                with open_workbook(source) as book:
                    return FileLook(format="workbook", sheets=tuple(_sheets(book, sheet)))
            case _:
                return _text(source, encoding, delimiter, limits)


def _sheets(book: fastexcel.ExcelReader, wanted: str | int | None) -> list[SheetPreview]:
    names = list(book.sheet_names)
    if wanted is not None:
        names = [name_of_sheet(names, wanted)]
    return [_sheet(book, name) for name in names[:_SHEETS]] + [
        SheetPreview(name=name, columns=0) for name in names[_SHEETS:]
    ]


def _sheet(book: fastexcel.ExcelReader, name: str) -> SheetPreview:
    sheet = book.load_sheet(
        name, header_row=None, skip_rows=0, n_rows=LOOKED_AT, dtypes="string", whitespace_as_null=True
    )
    cells: pl.DataFrame = sheet.to_polars()
    rows = cells.rows()
    return SheetPreview(
        name=name,
        rows=sheet.total_height,
        columns=cells.width,
        hidden=sheet.visible != "visible",
        header_row=guess_header_row(rows),
        cells=_shown(rows),
    )


def _text(source: Source, encoding: str | None, delimiter: str | None, limits: Limits) -> FileLook:
    name = find_encoding(source, encoding).name
    head = source.head()
    # The last character may be cut.
    text = codecs.getincrementaldecoder(name)("replace").decode(head).removeprefix("\ufeff")
    if delimiter is None and looks_like_json(text):
        return FileLook(format="json", encoding=name, note=Message("datasets.one-table-in-file"))
    line = SEPARATOR_LINE.match(text)
    asked = delimiter or (line[1] if line else None)
    found = find_dialect(text, complete=len(head) == source.size, asked=asked, limits=limits).delimiter
    rows = split_lines(text, found)
    while rows and not any(rows[-1]):
        rows.pop()
    sheet = SheetPreview(
        columns=max((len(row) for row in rows), default=0), header_row=guess_header_row(rows), cells=_shown(rows)
    )
    return FileLook(format="text", encoding=name, delimiter=found, sheets=(sheet,))


def _shown(rows: Sequence[_Row]) -> list[list[str | None]]:
    return [[cell[:_CHARACTERS] if cell else None for cell in row[:_COLUMNS]] for row in rows[:_ROWS]]
