"""TrueType subsetting, so that a figure embeds only the glyphs that it uses.

Reads and writes the tables of fonts with quadratic outlines, as shipped with this package: no hinting, no layout
tables.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

__all__ = ["Typeface"]

_COPIED = ("OS/2", "head", "hhea", "maxp", "name", "post")
_WORDS, _SCALE, _MORE, _SCALE_XY, _TWO_BY_TWO = 0x0001, 0x0008, 0x0020, 0x0040, 0x0080
"""Flags of a component of a composite glyph."""

_WHOLE = 0xB1B0AFBA
"""Checksum of a whole font file, from the OpenType specification."""


class Typeface:
    """A parsed font file."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        count = struct.unpack_from(">H", data, 4)[0]
        self._tables: dict[str, bytes] = {}
        for entry in range(count):
            tag, _, offset, length = struct.unpack_from(">4sLLL", data, 12 + 16 * entry)
            self._tables[tag.decode()] = data[offset : offset + length]
        glyphs = struct.unpack_from(">H", self._tables["maxp"], 4)[0]
        long = struct.unpack_from(">h", self._tables["head"], 50)[0] == 1
        places = np.frombuffer(self._tables["loca"], ">u4" if long else ">u2", glyphs + 1).astype(np.int64)
        self._places = places if long else places * 2
        self._metrics = struct.unpack_from(">H", self._tables["hhea"], 34)[0]
        self._glyph_of = _characters(self._tables["cmap"])

    def holds(self, character: str) -> bool:
        """Return whether the font has a glyph for a character."""
        return ord(character) in self._glyph_of

    def subset(self, characters: Iterable[str]) -> bytes:
        """Return a TrueType file with the glyphs of these characters; characters without a glyph are skipped."""
        wanted = {ord(each): glyph for each in characters if (glyph := self._glyph_of.get(ord(each))) is not None}
        kept = self._closure([0, *wanted.values()])
        number = {glyph: place for place, glyph in enumerate(kept)}
        outlines = [self._renumbered(glyph, number) for glyph in kept]
        ends = np.cumsum([0, *(len(outline) for outline in outlines)])
        tables = {tag: self._tables[tag] for tag in _COPIED}
        tables["glyf"] = b"".join(outlines)
        tables["loca"] = ends.astype(">u4").tobytes()
        tables["hmtx"] = b"".join(self._width(glyph) for glyph in kept)
        tables["cmap"] = _character_map({code: number[glyph] for code, glyph in sorted(wanted.items())})
        tables["head"] = _patched(_patched(tables["head"], 50, struct.pack(">h", 1)), 8, b"\0\0\0\0")
        tables["hhea"] = _patched(tables["hhea"], 34, struct.pack(">H", len(kept)))
        tables["maxp"] = _patched(tables["maxp"], 4, struct.pack(">H", len(kept)))
        return _file(tables)

    def _outline(self, glyph: int) -> bytes:
        return self._tables["glyf"][self._places[glyph] : self._places[glyph + 1]]

    def _width(self, glyph: int) -> bytes:
        table, last = self._tables["hmtx"], self._metrics - 1
        if glyph <= last:
            return table[4 * glyph : 4 * glyph + 4]
        bearing = 4 * self._metrics + 2 * (glyph - self._metrics)
        return table[4 * last : 4 * last + 2] + table[bearing : bearing + 2]

    def _closure(self, glyphs: list[int]) -> list[int]:
        """Return the glyphs and the components that they refer to, in ascending order."""
        found: set[int] = set()
        while glyphs:
            glyph = glyphs.pop()
            if glyph not in found:
                found.add(glyph)
                glyphs.extend(part for _, part in _components(self._outline(glyph)))
        return sorted(found)

    def _renumbered(self, glyph: int, number: dict[int, int]) -> bytes:
        outline = bytearray(self._outline(glyph))
        for offset, part in _components(outline):
            struct.pack_into(">H", outline, offset, number[part])
        return bytes(outline) + b"\0" * (-len(outline) % 4)


def _components(outline: bytes | bytearray) -> list[tuple[int, int]]:
    """Return offsets and ids of the components of a composite glyph; empty for a simple glyph."""
    if len(outline) < 10 or struct.unpack_from(">h", outline)[0] >= 0:
        return []
    found, offset, flags = list[tuple[int, int]](), 10, _MORE
    while flags & _MORE:
        flags, part = struct.unpack_from(">HH", outline, offset)
        found.append((offset + 2, part))
        offset += 8 if flags & _WORDS else 6
        offset += 8 if flags & _TWO_BY_TWO else 4 if flags & _SCALE_XY else 2 if flags & _SCALE else 0
    return found


def _characters(table: bytes) -> dict[int, int]:
    """Map character codes to glyphs, from the Unicode subtable with the largest coverage."""
    count = struct.unpack_from(">H", table, 2)[0]
    found: dict[int, int] = {}
    for entry in range(count):
        offset = struct.unpack_from(">L", table, 8 + 8 * entry)[0]
        kind = struct.unpack_from(">H", table, offset)[0]
        if kind == 4:
            found = {**_segments(table[offset:]), **found}
        elif kind == 12:
            for group in range(struct.unpack_from(">L", table, offset + 12)[0]):
                first, last, glyph = struct.unpack_from(">LLL", table, offset + 16 + 12 * group)
                found.update(zip(range(first, last + 1), range(glyph, glyph + last - first + 1), strict=True))
    return found


def _segments(table: bytes) -> dict[int, int]:
    """Parse a cmap subtable of format 4: segments of codes with a delta, or an index into the glyph array."""
    size = struct.unpack_from(">H", table, 6)[0] // 2
    ends = struct.unpack_from(f">{size}H", table, 14)
    starts = struct.unpack_from(f">{size}H", table, 16 + 2 * size)
    deltas = struct.unpack_from(f">{size}H", table, 16 + 4 * size)
    ranges = struct.unpack_from(f">{size}H", table, 16 + 6 * size)
    found: dict[int, int] = {}
    for place, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, ranges, strict=True)):
        for code in range(start, min(end, 0xFFFE) + 1):
            glyph = code
            if offset:
                at = 16 + 6 * size + 2 * place + offset + 2 * (code - start)
                glyph = struct.unpack_from(">H", table, at)[0]
            if glyph or not offset:
                found[code] = (glyph + delta) & 0xFFFF
    return found


def _character_map(glyphs: dict[int, int]) -> bytes:
    """Build a cmap table of format 12 with one group per character."""
    groups = b"".join(struct.pack(">LLL", code, code, glyph) for code, glyph in glyphs.items())
    header = struct.pack(">HHLLL", 12, 0, 16 + len(groups), 0, len(glyphs))
    return struct.pack(">HHHHL", 0, 1, 3, 10, 12) + header + groups


def _patched(table: bytes, offset: int, value: bytes) -> bytes:
    return table[:offset] + value + table[offset + len(value) :]


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (-len(data) % 4)
    return int(np.frombuffer(padded, ">u4").sum(dtype=np.uint64)) & 0xFFFFFFFF


def _file(tables: dict[str, bytes]) -> bytes:
    """Assemble a font file from its tables, with checksums."""
    count, power = len(tables), len(tables).bit_length() - 1
    directory = struct.pack(">LHHHH", 0x00010000, count, 16 << power, power, 16 * count - (16 << power))
    offset, body, head = 12 + 16 * count, b"", 0
    for tag in sorted(tables):
        table = tables[tag]
        directory += struct.pack(">4sLLL", tag.encode(), _checksum(table), offset + len(body), len(table))
        head = offset + len(body) if tag == "head" else head
        body += table + b"\0" * (-len(table) % 4)
    whole = directory + body
    return _patched(whole, head + 8, struct.pack(">L", (_WHOLE - _checksum(whole)) & 0xFFFFFFFF))
