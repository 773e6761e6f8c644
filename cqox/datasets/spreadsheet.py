"""Excel and OpenDocument sheets become columns of text, read by calamine through fastexcel.

All cells are taken as text and interpreted with the rules for text files: that is the only way on which a column of
numbers with one word in it loses nothing. Formulas give the values that the file holds for them.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import fastexcel
import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.biff import check_biff
from cqox.datasets.header_guess import LOOKED_AT, proposed_header_row
from cqox.datasets.headers import name_columns, title_note
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.temp_files import BLOCK_BYTES, Source
from cqox.errors import InvalidRequest, LimitExceeded, UnreadableFile

__all__ = ["check_workbook", "name_of_sheet", "open_workbook", "read_spreadsheet"]

_CELL = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_MAX_TITLES = 10
_DAMAGE = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, EOFError, ValueError)
_RATIO_FLOOR_BYTES = 32 << 20


def read_spreadsheet(
    source: Source, limits: Limits, *, sheet: str | int | None = None, header_row: int | None = None
) -> Raw:
    """The cells of one sheet; its first row of more than one cell is the header.

    Args:
        source: an xlsx, xlsb, xls or ods file.
        limits: checked before the sheet is laid out in memory.
        sheet: name or position from 0; the first visible one that holds anything if None.
        header_row: number of the row of the header, from 1 at the top of the sheet.

    Raises:
        InvalidRequest: no such sheet, or nothing in the row of the header.
        UnreadableFile: damaged, locked, or without any cell.
        LimitExceeded: too many rows, columns or cells, or a bomb.
    """
    check_workbook(source, limits)
    names, chosen, cells, others = _opened(source, sheet)
    top = cells.head(LOOKED_AT).rows()
    if header_row is not None:
        cells = _from_row(cells, header_row)
    above, cells = _without_margins(cells)
    if cells.height == 0:
        raise UnreadableFile(Message("datasets.empty-sheet", names=names, sheet=chosen), choices=names)
    limits.check_shape(cells.height - 1, cells.width)
    skipped = titles = _title_rows(cells) if header_row is None else 0
    if header_row is not None:
        above, skipped = header_row - 1, header_row - 1
    cells = cells.slice(titles)
    originals = [value or "" for value in cells.row(0)]
    headers, notes = name_columns(originals)
    frame = cells.slice(1)
    frame.columns = [header.name for header in headers]
    notes = (*title_note(skipped), *notes)
    if others:
        notes = (Message("datasets.other-sheets", others=others, sheet=chosen), *notes)
    format_ = Message("datasets.spreadsheet", sheet=chosen)
    return Raw(
        headers=headers,
        frame=frame,
        format=format_,
        notes=notes,
        first_row=above + titles + 2,
        proposed_header_row=None if header_row else proposed_header_row(top, above + titles + 1),
    )


def check_workbook(source: Source, limits: Limits) -> None:
    """Refuse a workbook of which a sheet would be too large in memory.

    Raises:
        UnreadableFile: it is damaged or locked.
        LimitExceeded: too many rows, columns or cells, or a bomb.
    """
    if source.head(2) == b"PK":
        _check_archive(source, limits)
    else:
        check_biff(source, limits)


def _opened(source: Source, sheet: str | int | None) -> tuple[list[str], str, pl.DataFrame, list[str]]:
    """The names of all sheets, the chosen one and its cells, and the others with content."""
    with open_workbook(source) as book:
        names = list(book.sheet_names)
        return names, *_choose(book, names, sheet)


@contextmanager
def open_workbook(source: Source) -> Iterator[fastexcel.ExcelReader]:
    """Open a workbook, and translate what the reader raises inside the block.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        yield fastexcel.read_excel(source.head(source.size))
    except fastexcel.FastExcelError as error:
        raise UnreadableFile(Message("datasets.unreadable-workbook", reason=_reason(error))) from error
    except BaseException as error:
        # A panic of the reader's Rust side is a class of its own that no module exports.
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableFile(Message("datasets.unreadable-workbook-perhaps-damaged")) from error


def _title_rows(cells: pl.DataFrame) -> int:
    """Count the one-cell rows above the first row of several, which is the header."""
    filled = [sum(cell is not None for cell in row) for row in cells.head(_MAX_TITLES + 1).iter_rows()]
    titles = next((index for index, count in enumerate(filled) if count > 1), 0)
    return titles if cells.height > titles + 1 else 0


def _choose(
    book: fastexcel.ExcelReader, names: Sequence[str], asked: str | int | None
) -> tuple[str, pl.DataFrame, list[str]]:
    if not names:
        raise UnreadableFile(Message("datasets.workbook-without-sheets"))
    if asked is not None:
        name = name_of_sheet(names, asked)
        return name, _cells(book, name), []
    filled = [name for name in names if _is_filled(book, name)]
    if not filled:
        return names[0], pl.DataFrame(), []
    return filled[0], _cells(book, filled[0]), filled[1:]


def name_of_sheet(names: Sequence[str], asked: str | int) -> str:
    """Return the name of a sheet that is given by its name, or by its position from 0.

    Raises:
        InvalidRequest: no such sheet.
    """
    if isinstance(asked, str) and asked not in names and asked.isdecimal():
        asked = int(asked)
    known = asked in names if isinstance(asked, str) else 0 <= asked < len(names)
    if not known:
        raise InvalidRequest(Message("datasets.no-such-sheet", sheet=asked), field="sheet", choices=names)
    return asked if isinstance(asked, str) else names[asked]


def _is_filled(book: fastexcel.ExcelReader, name: str) -> bool:
    sheet = book.load_sheet(name, header_row=None, n_rows=1, dtypes="string")
    return bool(sheet.visible == "visible" and sheet.total_height > 0)


def _cells(book: fastexcel.ExcelReader, name: str) -> pl.DataFrame:
    def load(dtype: Literal["string", "float"]) -> pl.DataFrame:
        frame: pl.DataFrame = book.load_sheet(
            name, header_row=None, skip_rows=0, dtypes=dtype, skip_whitespace_tail_rows=False, whitespace_as_null=True
        ).to_polars()
        return frame

    texts, numbers = load("string"), load("float")
    return pl.DataFrame([_exact(text, number) for text, number in zip(texts, numbers, strict=True)])


def _exact(text: pl.Series, number: pl.Series) -> pl.Series:
    """The cells as text, where calamine writes no more than nine decimals, with all digits of the numbers among them.

    A time of day comes as a moment on Excel's day zero, of which only the time is meant.
    """
    rounded = text.cast(pl.Float64, strict=False)
    differs = (rounded != number).fill_null(value=False)
    if differs.any():
        text = number.cast(pl.String).zip_with(differs, text)
    return text.str.replace(r"^1899-12-31 (\d\d:\d\d)", "${1}")


def _from_row(cells: pl.DataFrame, header_row: int) -> pl.DataFrame:
    """The cells from the row of the header on."""
    if cells.height < header_row or all(cell is None for cell in cells.row(header_row - 1)):
        raise InvalidRequest(Message("datasets.nothing-in-header-row", row=header_row), field="header_row")
    return cells.slice(header_row - 1)


def _without_margins(cells: pl.DataFrame) -> tuple[int, pl.DataFrame]:
    """The number of empty rows above a table, and the table without them, those below, and columns that are empty."""
    kept = cells.select(column for column in cells if column.null_count() < column.len())
    if kept.width == 0:
        return 0, pl.DataFrame()
    filled = kept.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    first, last = int(filled[0]), int(filled[-1])
    return first, kept.slice(first, last - first + 1)


def _check_archive(source: Source, limits: Limits) -> None:
    """Expand every part once in small blocks, so that what the reader will do is known to be bounded.

    A sheet is laid out as the rectangle of its cells: two cells in opposite corners of it would cost all of memory.
    """
    total = 0
    try:
        with zipfile.ZipFile(source.path) as archive:
            for info in archive.infolist():
                is_sheet = _SHEET.fullmatch(info.filename) is not None
                corner = _Corner()
                with archive.open(info) as part:
                    while block := part.read(BLOCK_BYTES):
                        total += len(block)
                        _check_size(total, source.size, limits)
                        if is_sheet:
                            corner.see(block)
                corner.check(limits)
    except _DAMAGE as error:
        raise UnreadableFile(Message("datasets.damaged-or-locked-workbook", reason=str(error))) from error


def _check_size(total: int, sent: int, limits: Limits) -> None:
    if total > limits.max_expanded_bytes or (total > _RATIO_FLOOR_BYTES and total > limits.max_expansion_ratio * sent):
        raise LimitExceeded(Message("datasets.workbook-expands-too-far", sent=sent, total=total))


class _Corner:
    """The lowest row and the rightmost column that a sheet names."""

    def __init__(self) -> None:
        self._rows = 0
        self._columns = 0
        self._tail = b""

    def see(self, block: bytes) -> None:
        """Take a block of the sheet's XML."""
        text = self._tail + block
        letters: set[bytes] = set()
        for column, row in _CELL.findall(text):
            letters.add(column)
            self._rows = max(self._rows, int(row))
        for column in letters:
            number = 0
            for letter in column:
                number = number * 26 + letter - 64
            self._columns = max(self._columns, number)
        self._tail = text[-24:]

    def check(self, limits: Limits) -> None:
        """Refuse a rectangle larger than a table may be."""
        limits.check_shape(max(self._rows - 1, 0), self._columns)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("calamine error: ").rstrip(". ")
