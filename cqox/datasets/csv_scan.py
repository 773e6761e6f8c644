"""The shape of delimited text before any of it becomes a column: how many records, which are ragged, blank or odd.

The scan is numpy over blocks of bytes that end in a line end. Quotes are followed by their parity: a delimiter counts
where an even number of quotes stands before it, which is RFC 4180 as long as no quote stands inside an unquoted field.
Such a quote is reported, and the slower reader, which takes it literally, has to be used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.datasets.limits import Limits, exceeded
from cqox.datasets.temp_files import BLOCK_BYTES, Source
from cqox.errors import LimitExceeded

__all__ = ["Ragged", "Shape", "scan"]

_QUOTE, _NEWLINE, _RETURN, _BLANK, _TAB = 0x22, 0x0A, 0x0D, 0x20, 0x09
_PLUS, _MINUS, _ZERO, _LETTER = 0x2B, 0x2D, 0x30, 0x41
_SHOWN = 8

type _Bytes = NDArray[np.uint8]
type _Positions = NDArray[np.intp]
type _Flags = NDArray[np.bool_]

_NONE: _Positions = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Ragged:
    """A record with the wrong number of fields; the header is row 1."""

    row: int
    fields: int


@dataclass(slots=True)
class Shape:
    """The result of a scan.

    Attributes:
        records: all of them, the header and blank ones included.
        blank: positions of blank records, the header being 0.
        ragged: the first few ragged records.
        ragged_count: how many there are.
        odd_quotes: whether a quote stands where RFC 4180 has none.
        unclosed: whether the text ends inside quotes.
        quoted: whether there is a quote at all.
        empty: (width,) how many cells of each column are empty, the header's included; zeros if they were not counted.
        odd: (width,) whether a cell of each column begins with white space or with a zero before a digit, so that a
            parser of numbers would lose what it says; all true if the cells were not looked at.
    """

    records: int = 0
    blank: list[int] = field(default_factory=list)
    ragged: list[Ragged] = field(default_factory=list)
    ragged_count: int = 0
    odd_quotes: bool = False
    unclosed: bool = False
    quoted: bool = False
    empty: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    odd: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))


def scan(source: Source, delimiter: str, width: int, limits: Limits, *, cells: bool = False) -> Shape:
    """The shape of a UTF-8 text whose header has `width` fields.

    Args:
        source: the text.
        delimiter: what separates fields.
        width: fields of the header.
        limits: bounds on records and fields.
        cells: whether to look at the beginning of each cell.

    Raises:
        LimitExceeded: a field longer than `max_field_bytes`, or more records than `max_rows` or `max_cells` allow.
    """
    most = min(limits.max_rows, limits.max_cells // max(width, 1))
    scanner = _Scanner(delimiter=ord(delimiter), width=width, cells=cells, most_bytes=limits.max_field_bytes)
    shape = scanner.shape
    shape.empty, shape.odd = np.zeros(width, dtype=np.int64), np.full(width, not cells)
    for block in _lines(source, limits):
        longest = scanner.feed(block)
        if longest > limits.max_field_bytes:
            row, most_bytes = shape.records + 1, limits.max_field_bytes
            raise LimitExceeded(
                Message("datasets.long-cell-perhaps-unclosed", most=most_bytes, row=row)
                if shape.quoted
                else Message("datasets.long-cell", most=most_bytes, row=row)
            )
        rows = shape.records - 1 - len(shape.blank)
        if rows > most:
            raise exceeded("rows", rows, most, at_least=True)
    shape.unclosed = scanner.inside == 1
    return shape


def _lines(source: Source, limits: Limits) -> Iterator[bytes]:
    """Blocks that end in a line end; the last one gets one if it has none."""
    longest = limits.max_columns * 64 + limits.max_field_bytes + 64 * BLOCK_BYTES
    rest = b""
    # Arrays of larger blocks are beyond what the allocator keeps, and each would be new pages of the system.
    for block in source.blocks(block_bytes=BLOCK_BYTES // 8):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
        if len(rest) > longest:
            raise LimitExceeded(Message("datasets.long-line", most=longest))
    if rest:
        yield rest + b"\n"


@dataclass(slots=True, kw_only=True)
class _Scanner:
    """The state of a scan between blocks.

    Attributes:
        inside: 1 while a quoted field is open.
        fields: fields of the open record that are complete.
        record_bytes: bytes of the open record.
        field_bytes: bytes of the open field.
    """

    delimiter: int
    width: int
    cells: bool
    most_bytes: int
    shape: Shape = field(default_factory=Shape)
    inside: int = 0
    fields: int = 0
    record_bytes: int = 0
    field_bytes: int = 0

    def feed(self, block: bytes) -> int:
        """Take a block; the length of the longest field that ends or is open in it, in bytes.

        It is the length of the longest record where that is no longer than a field may be.
        """
        data = np.frombuffer(block, dtype=np.uint8)
        lines = data == _NEWLINE
        ends = (data == self.delimiter) | lines
        opened, quotes = self.inside == 1, None
        if opened or b'"' in block:
            quotes = data == _QUOTE
            parity = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(self.inside)) & np.uint8(1)
            ends &= parity == 0
            lines &= ends
            self.shape.quoted = True
            self.shape.odd_quotes |= _odd_quotes(data, np.flatnonzero(quotes), parity, self.delimiter)
            self.inside = int(parity[-1])
        at = np.flatnonzero(ends)
        empty, odd = self._beginnings(data, at, opened=opened) if self.cells else (_NONE, _NONE)
        longest = None if opened or self.fields or self.inside else self._regular(at, lines)
        if longest is not None:
            self._note(empty % self.width, odd % self.width)
            return longest
        if self.cells:
            self._note(self._columns(at, lines, empty), self._columns(at, lines, odd))
            if opened and self.fields < self.width:
                self.shape.odd[self.fields] = True
        return self._any(block, data, at)

    def _regular(self, at: _Positions, lines: _Flags) -> int | None:
        """Take a block of whole records of the right width, none of them blank; None if it is another one."""
        width = self.width
        ends = at[width - 1 :: width]
        if at.size % width or np.count_nonzero(lines) != ends.size or not lines[ends].all():
            return None
        lengths = np.diff(ends, prepend=-1) - 1
        if int(lengths.max()) > self.most_bytes or (width == 1 and int(lengths.min()) < 2):
            return None
        self.shape.records += ends.size
        return int(lengths.max())

    def _any(self, block: bytes, data: _Bytes, at: _Positions) -> int:
        """Take any block."""
        if not at.size:
            self.record_bytes += len(block)
            self.field_bytes += len(block)
            return self.field_bytes
        longest = max(int(at[0]) + self.field_bytes, int(np.diff(at).max(initial=1)) - 1)
        lines = np.flatnonzero(data[at] == _NEWLINE)
        if lines.size:
            self._records(data, at, lines)
            self.fields = at.size - 1 - int(lines[-1])
            self.record_bytes = len(block) - 1 - int(at[lines[-1]])
        else:
            self.fields += at.size
            self.record_bytes += len(block)
        self.field_bytes = len(block) - 1 - int(at[-1])
        return max(longest, self.field_bytes)

    def _note(self, empty: _Positions, odd: _Positions) -> None:
        """Count empty fields and mark odd ones, by their columns."""
        if empty.size:
            self.shape.empty += np.bincount(empty, minlength=self.width)
        self.shape.odd[odd] = True

    def _columns(self, at: _Positions, lines: _Flags, fields: _Positions) -> _Positions:
        """The columns of some fields of the block, without those of blank and ragged records."""
        firsts = np.concatenate(([-self.fields], np.flatnonzero(lines[at]) + 1))
        record = np.searchsorted(firsts, fields, side="right") - 1
        whole = np.append(np.diff(firsts) == self.width, True)
        column = fields - firsts[record]
        return column[whole[record] & (column < self.width)]

    def _beginnings(self, data: _Bytes, at: _Positions, *, opened: bool) -> tuple[_Positions, _Positions]:
        """The fields of the block that are empty, and those that begin oddly for a number.

        Only few bytes that a field begins with take a second look.
        """
        ends = at if at.size and at[-1] < data.size - 1 else at[:-1]
        first = np.empty(ends.size + 1, dtype=np.uint8)
        first[0] = _LETTER if opened else data[0]
        np.take(data[1:], ends, out=first[1:], mode="clip")
        looked_at = first <= _ZERO
        if self.delimiter > _ZERO:
            looked_at |= first == self.delimiter
        fields = np.flatnonzero(looked_at)
        begin = np.where(fields > 0, ends[fields - 1] + 1, 0) if ends.size else fields
        empty, odd = self._looked_at(data, first[fields], begin)
        quoted = np.flatnonzero(first[fields] == _QUOTE) if self.shape.quoted else _NONE
        if quoted.size:
            inside = begin[quoted] + 1
            starts = _taken(data, inside)
            _, odd[quoted] = self._looked_at(data, starts, inside)
            odd[quoted] |= starts == _TAB
            empty[quoted] = (starts == _QUOTE) & self._looked_at(data, _taken(data, inside + 1), inside + 1)[0]
        return fields[empty], fields[odd]

    def _looked_at(self, data: _Bytes, first: _Bytes, begin: _Positions) -> tuple[_Flags, _Flags]:
        """Look at where fields begin: the flags of those that end there, and of those odd for a number.

        Args:
            data: the block.
            first: (m,) the first byte of each field.
            begin: (m,) its position.
        """
        second = _taken(data, begin + 1)
        empty = (first == self.delimiter) | (first == _NEWLINE) | ((first == _RETURN) & (second == _NEWLINE))
        odd = (first == _BLANK) | ((first == _ZERO) & _is_digit(second))
        signed = np.flatnonzero(((first == _PLUS) | (first == _MINUS)) & (second == _ZERO))
        odd[signed] = _is_digit(_taken(data, begin[signed] + 2))
        if self.delimiter != _TAB:
            odd |= first == _TAB
        return empty, odd

    def _records(self, data: _Bytes, at: _Positions, lines: _Positions) -> None:
        shape = self.shape
        fields = np.diff(lines, prepend=-1)
        fields[0] += self.fields
        ends = at[lines]
        lengths = np.diff(ends, prepend=-1 - self.record_bytes) - 1
        blank = (lengths == 0) | ((lengths == 1) & (data[ends - 1] == _RETURN))
        shape.blank += (np.flatnonzero(blank) + shape.records).tolist()
        wrong = np.flatnonzero((fields != self.width) & ~blank)
        shape.ragged_count += wrong.size
        for index in wrong[: _SHOWN - len(shape.ragged)].tolist():
            shape.ragged.append(Ragged(shape.records + index + 1, int(fields[index])))
        shape.records += lines.size


def _taken(data: _Bytes, at: _Positions) -> _Bytes:
    """The bytes at some positions; the last one, a line end, for positions behind it."""
    return data.take(at, mode="clip")


def _is_digit(data: _Bytes) -> _Flags:
    return data - np.uint8(_ZERO) < 10


def _odd_quotes(data: _Bytes, at: _Positions, parity: _Bytes, delimiter: int) -> bool:
    opening = parity[at] == 1
    # A block starts behind a line end and ends in one, so its neighbours are line ends.
    before = np.where(at > 0, data[at - 1], _NEWLINE)
    after = data[np.minimum(at + 1, data.size - 1)]
    opens_well = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)
    closes_well = (after == delimiter) | (after == _NEWLINE) | (after == _QUOTE) | (after == _RETURN)
    return not bool(np.where(opening, opens_well, closes_well).all())
