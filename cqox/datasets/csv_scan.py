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

_QUOTE, _NEWLINE, _RETURN = 0x22, 0x0A, 0x0D
_SHOWN = 8

type _Bytes = NDArray[np.uint8]
type _Positions = NDArray[np.intp]


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
    """

    records: int = 0
    blank: list[int] = field(default_factory=list)
    ragged: list[Ragged] = field(default_factory=list)
    ragged_count: int = 0
    odd_quotes: bool = False
    unclosed: bool = False
    quoted: bool = False


def scan(source: Source, delimiter: str, width: int, limits: Limits) -> Shape:
    """The shape of a UTF-8 text whose header has `width` fields.

    Raises:
        LimitExceeded: a field longer than `max_field_bytes`, or more records than `max_rows` or `max_cells` allow.
    """
    most = min(limits.max_rows, limits.max_cells // max(width, 1))
    scanner = _Scanner(delimiter=ord(delimiter), width=width)
    shape = scanner.shape
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
    for block in source.blocks(block_bytes=2 * BLOCK_BYTES):
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
    shape: Shape = field(default_factory=Shape)
    inside: int = 0
    fields: int = 0
    record_bytes: int = 0
    field_bytes: int = 0

    def feed(self, block: bytes) -> int:
        """Take a block; the length of the longest field that ends or is open in it, in bytes."""
        data = np.frombuffer(block, dtype=np.uint8)
        ends = (data == self.delimiter) | (data == _NEWLINE)
        if self.inside or b'"' in block:
            quotes = data == _QUOTE
            parity = (np.cumsum(quotes, dtype=np.uint8) + np.uint8(self.inside)) & np.uint8(1)
            ends &= parity == 0
            self.shape.quoted = True
            self.shape.odd_quotes |= _odd_quotes(data, np.flatnonzero(quotes), parity, self.delimiter)
            self.inside = int(parity[-1])
        at = np.flatnonzero(ends)
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


def _odd_quotes(data: _Bytes, at: _Positions, parity: _Bytes, delimiter: int) -> bool:
    opening = parity[at] == 1
    # A block starts behind a line end and ends in one, so its neighbours are line ends.
    before = np.where(at > 0, data[at - 1], _NEWLINE)
    after = data[np.minimum(at + 1, data.size - 1)]
    opens_well = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)
    closes_well = (after == delimiter) | (after == _NEWLINE) | (after == _QUOTE) | (after == _RETURN)
    return not bool(np.where(opening, opens_well, closes_well).all())
