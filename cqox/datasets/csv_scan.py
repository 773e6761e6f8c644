"""The shape of delimited text before any of it becomes a column: how many records, which are ragged, blank or odd.

The scan is numpy over blocks of bytes that end in a line end. Quotes are followed by their parity: a delimiter counts
where an even number of quotes stands before it, which is RFC 4180 as long as no quote stands inside an unquoted field.
Such a quote is reported, and the slower reader, which takes it literally, has to be used.
"""

import re
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
_PLUS, _MINUS, _ZERO = 0x2B, 0x2D, 0x30
_SHOWN = 8

type _Bytes = NDArray[np.uint8]
type _Positions = NDArray[np.intp]
type _Flags = NDArray[np.bool_]

_FIRST: _Positions = np.full(1, -1, dtype=np.intp)
"""The place before the first byte of a block."""


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
    for block in source.blocks(block_bytes=BLOCK_BYTES // 4):
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
    odd_start: re.Pattern[bytes] = field(init=False)
    empty_start: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        separator = bytes([self.delimiter])
        tab = rb'|"\t' if separator == b"\t" else rb'|"?\t'
        self.odd_start = re.compile(rb'"?(?: |[-+]?0[0-9])' + tab)
        self.empty_start = re.compile(rb'(?:"")?(?:\r?\n|' + re.escape(separator) + rb")")

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
        if self.cells:
            empty, odd = self._beginnings(block, data, ends, lines, quotes, opened=opened)
        else:
            empty = odd = np.zeros(0, dtype=np.intp)
        longest = None if opened or self.fields or self.inside else self._regular(at, lines)
        if longest is not None:
            self._note(np.searchsorted(at, empty) % self.width, np.searchsorted(at, odd) % self.width)
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

    def _columns(self, at: _Positions, lines: _Flags, positions: _Positions) -> _Positions:
        """The columns of the fields at some positions, without those of blank and ragged records."""
        places = np.searchsorted(at, positions)
        firsts = np.concatenate(([-self.fields], np.flatnonzero(lines[at]) + 1))
        record = np.searchsorted(firsts, places, side="right") - 1
        whole = np.append(np.diff(firsts) == self.width, True)
        column = places - firsts[record]
        return column[whole[record] & (column < self.width)]

    def _beginnings(
        self, block: bytes, data: _Bytes, ends: _Flags, lines: _Flags, quotes: _Flags | None, *, opened: bool
    ) -> tuple[_Positions, _Positions]:
        """Positions in the fields that are empty, and in those that begin oddly for a number.

        Fields begin behind an end or a quote; that of the first one in the block is looked at by itself.
        """
        begins = ends if quotes is None else ends | quotes
        zeros = (data[:-1] == _ZERO) & (data[1:] - np.uint8(_ZERO) < 10)
        signs = (data == _PLUS) | (data == _MINUS)
        odd = [_found(begins[:-2] & zeros[1:]), _found(begins[:-3] & signs[1:-2] & zeros[2:])]
        if b" " in block:
            odd.append(_found(begins[:-1] & (data[1:] == _BLANK)))
        if b"\t" in block and self.delimiter != _TAB:
            odd.append(_found(begins[:-1] & (data[1:] == _TAB)))
        elif quotes is not None and self.delimiter == _TAB:
            odd.append(_found(ends[:-2] & quotes[1:-1] & (data[2:] == _TAB) & ~ends[2:]))
        empty = [_found(ends[:-1] & ends[1:])]
        if b"\r" in block:
            empty.append(_found(ends[:-2] & (data[1:-1] == _RETURN) & lines[2:]))
        if quotes is not None:
            pairs = ends[:-3] & quotes[1:-2] & quotes[2:-1]
            empty += [_found(pairs & ends[3:]), _found(pairs[:-1] & (data[3:-1] == _RETURN) & lines[4:])]
        if not opened:
            odd += [_FIRST] if self.odd_start.match(block) else []
            empty += [_FIRST] if self.empty_start.match(block) else []
        return np.concatenate(empty) + 1, np.concatenate(odd) + 1

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


def _found(flags: _Flags) -> _Positions:
    return np.flatnonzero(flags) if flags.any() else np.zeros(0, dtype=np.intp)


def _odd_quotes(data: _Bytes, at: _Positions, parity: _Bytes, delimiter: int) -> bool:
    opening = parity[at] == 1
    # A block starts behind a line end and ends in one, so its neighbours are line ends.
    before = np.where(at > 0, data[at - 1], _NEWLINE)
    after = data[np.minimum(at + 1, data.size - 1)]
    opens_well = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)
    closes_well = (after == delimiter) | (after == _NEWLINE) | (after == _QUOTE) | (after == _RETURN)
    return not bool(np.where(opening, opens_well, closes_well).all())
