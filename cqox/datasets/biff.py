"""The extent of the sheets in an old Excel file (xls), found before they are laid out in memory.

The reader lays a sheet out as the rectangle of its cells. One damaged or hostile cell record in a file of a few
kilobytes would make that 65,536 rows by 65,536 columns, which no machine holds; so the records are walked first,
without their values. Only what that takes of [MS-CFB] and [MS-XLS] is read here.
"""

import struct
from collections.abc import Iterator

from cqox.contract.messages import Message
from cqox.datasets.limits import Limits
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["check_biff"]

_END, _FREE = 0xFFFFFFFE, 0xFFFFFFFF
_HEADER_BYTES = 512
_ENTRY_BYTES = 128
_SMALL_STREAM_BYTES = 4096
_STREAM, _ROOT = 2, 5
# BLANK, BOOLERR, FORMULA, LABEL, LABELSST, NUMBER, RK, RSTRING, and their forms before Excel 97: row, column, ...
_CELL_RECORDS = frozenset(
    {0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x0206}
    | {0x027E, 0x0406}
)
# MULBLANK and MULRK: row, first column, ..., last column.
_RANGE_RECORDS = frozenset({0x00BD, 0x00BE})
_BEGIN = 0x0809
_DIMENSIONS = 0x0200


def check_biff(source: Source, limits: Limits) -> None:
    """Refuse a workbook with a sheet that is larger than a table may be.

    Raises:
        UnreadableFile: the file's own tables of contents contradict themselves.
        LimitExceeded: too many rows, columns or cells between the first cell and the last one of a sheet.
    """
    content = source.head(source.size)
    try:
        book = _Compound(content).stream(("Workbook", "Book"))
    except (struct.error, IndexError) as error:
        raise UnreadableFile(Message("datasets.workbook-leads-outside")) from error
    rows = columns = 0
    for kind, body in _records(book):
        if kind == _BEGIN:
            rows = columns = 0
        elif kind == _DIMENSIONS:
            # The reader reserves memory for what this record claims, whatever cells there are.
            rows, columns = _claimed(body)
        elif kind in _CELL_RECORDS and len(body) >= 4:
            row, column = struct.unpack_from("<HH", body)
            rows, columns = max(rows, row + 1), max(columns, column + 1)
        elif kind in _RANGE_RECORDS and len(body) >= 6:
            row, first = struct.unpack_from("<HH", body)
            (last,) = struct.unpack_from("<H", body, len(body) - 2)
            rows, columns = max(rows, row + 1), max(columns, first + 1, last + 1)
        else:
            continue
        limits.check_shape(rows - 1, columns)


def _claimed(body: bytes) -> tuple[int, int]:
    for form in ("<IIHH", "<HHHH"):
        if len(body) >= struct.calcsize(form) + 2:
            first_row, end_row, first_column, end_column = struct.unpack_from(form, body)
            if first_row > max(end_row - 1, 0) or first_column > max(end_column - 1, 0):
                raise UnreadableFile(Message("datasets.workbook-ends-before-it-begins"))
            return end_row - first_row, end_column - first_column
    return 0, 0


def _records(book: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(book):
        kind, size = struct.unpack_from("<HH", book, position)
        yield kind, book[position + 4 : position + 4 + size]
        position += 4 + size


class _Compound:
    """A compound file: sectors chained by a table, and a directory of streams."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        (shift, self._small_shift) = struct.unpack_from("<HH", content, 30)
        if shift not in (9, 12) or self._small_shift > 12:
            raise UnreadableFile(Message("datasets.workbook-sector-size"))
        self._sector = 1 << shift
        counts = (*struct.unpack_from("<2I", content, 40), *struct.unpack_from("<I4xI", content, 64))
        self._refuse_size(max(counts) * self._sector)
        (directory, _, _, small_table, _, more, _) = struct.unpack_from("<7I", content, 48)
        self._table = self._read_table(more)
        self._entries = list(self._read_directory(directory))
        self._small_table = _numbers(self._chain(small_table)) if small_table < _END else ()

    def stream(self, names: tuple[str, ...]) -> bytes:
        """The first stream of one of these names."""
        root = next((entry for entry in self._entries if entry[1] == _ROOT), None)
        for name, kind, start, size in self._entries:
            if kind == _STREAM and name in names:
                if size >= _SMALL_STREAM_BYTES or root is None:
                    return self._chain(start)[:size]
                return self._small_chain(start, self._chain(root[2]))[:size]
        raise UnreadableFile(Message("datasets.workbook-no-stream-of-cells"))

    def _read_table(self, more: int) -> tuple[int, ...]:
        sectors = list(struct.unpack_from("<109I", self._content, 76))
        seen = 0
        while more < _END:
            block = _numbers(self._read_sector(more))
            sectors += block[:-1]
            more = block[-1]
            seen += 1
            self._refuse_loop(seen)
        return tuple(number for sector in sectors if sector < _END for number in _numbers(self._read_sector(sector)))

    def _read_directory(self, start: int) -> Iterator[tuple[str, int, int, int]]:
        directory = self._chain(start)
        for position in range(0, len(directory) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            entry = directory[position : position + _ENTRY_BYTES]
            (length, kind) = struct.unpack_from("<HB", entry, 64)
            (first, size) = struct.unpack_from("<II", entry, 116)
            if kind in (_STREAM, _ROOT):
                self._refuse_size(size)
            yield entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", errors="ignore"), kind, first, size

    def _chain(self, sector: int) -> bytes:
        parts: list[bytes] = []
        while sector < _END:
            parts.append(self._read_sector(sector))
            sector = self._table[sector]
            self._refuse_loop(len(parts))
        return b"".join(parts)

    def _small_chain(self, sector: int, container: bytes) -> bytes:
        parts: list[bytes] = []
        size = 1 << self._small_shift
        while sector < _END:
            parts.append(container[sector * size : (sector + 1) * size])
            sector = self._small_table[sector]
            if len(parts) > len(self._small_table):
                raise UnreadableFile(Message("datasets.workbook-small-sectors-loop"))
        return b"".join(parts)

    def _read_sector(self, sector: int) -> bytes:
        start = max(self._sector, _HEADER_BYTES) + sector * self._sector
        if start >= len(self._content):
            raise IndexError(sector)
        return self._content[start : start + self._sector]

    def _refuse_size(self, size: int) -> None:
        # The reader reserves memory for each part by the size that the file states for it.
        if size > len(self._content) + self._sector:
            raise UnreadableFile(Message("datasets.workbook-cut-short"))

    def _refuse_loop(self, steps: int) -> None:
        if steps * self._sector > len(self._content) + self._sector:
            raise UnreadableFile(Message("datasets.workbook-sectors-loop"))


def _numbers(block: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4])
