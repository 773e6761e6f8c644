"""JSON lines, an array of objects, or an object of equally long arrays become columns of text.

The standard library's parser is used for its clean refusals: nesting of any depth ends in an error, not in the process.
Numbers keep the digits that they were written with, so that no id and no decimal changes on the way.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.headers import name_columns
from cqox.datasets.limits import Limits, exceeded
from cqox.datasets.raw import Raw
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["looks_like_json", "read_json"]

_CHUNK_ROWS = 20_000
_MAX_DEPTH = 32
_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*[{\[\]])')
_SPACE = re.compile(r"[ \t\r\n]*")

# A parsed cell: numbers arrive as their digits in a `_Number`, so only these are left.
type _Cell = str | bool | list[_Cell] | dict[str, _Cell] | None


class _Number(str):
    """The digits of a number, distinguished from text only where nested values are written back."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number)


def looks_like_json(head: str) -> bool:
    """Return whether the text starts as an object with a key, or as an array of objects."""
    return _START.match(head) is not None


def read_json(source: Source, limits: Limits) -> Raw:
    """The values as columns of text in order of first appearance; an absent key and null are null.

    Args:
        source: UTF-8 without a byte order mark.
        limits: checked as rows arrive.

    Raises:
        UnreadableFile: malformed, with the line or the character, or no table.
        LimitExceeded: too many rows or columns.
    """
    with open(source.path, encoding="utf-8", newline="") as file:
        first = next((line for line in file if line.strip()), "").lstrip()
    if first.startswith("["):
        columns, layout = _gather(_array(_text(source)), limits), Message("datasets.json-array")
    elif _is_object(first):
        columns, layout = _gather(_lines(source), limits), Message("datasets.json-lines")
    else:
        columns, layout = _object(source, limits), Message("datasets.json-object-of-arrays")
    return columns.finish(layout)


def _is_object(line: str) -> bool:
    """Return whether the first line is one row: a whole object, and not an object of arrays."""
    try:
        value = _decoded(line, line=1)
    except UnreadableFile:
        return False
    return isinstance(value, dict) and not _is_columnar(value)


def _is_columnar(value: Mapping[str, _Cell]) -> bool:
    return bool(value) and all(isinstance(cells, list) for cells in value.values())


def _text(source: Source) -> str:
    with open(source.path, encoding="utf-8", newline="") as file:
        return file.read()


def _decoded(text: str, *, line: int) -> _Cell:
    try:
        value: _Cell = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            Message("datasets.line-is-not-json", character=error.pos + 1, line=line, reason=error.msg)
        ) from error
    except RecursionError as error:
        raise UnreadableFile(Message("datasets.line-nested-too-deep", line=line)) from error
    return value


def _lines(source: Source) -> Iterator[Mapping[str, _Cell]]:
    with open(source.path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            value = _decoded(line, line=number)
            if not isinstance(value, dict):
                raise UnreadableFile(Message("datasets.line-is-no-object", line=number))
            yield value


def _array(text: str) -> Iterator[Mapping[str, _Cell]]:
    position = _skip(text, text.index("[") + 1)
    row = 0
    more = text[position : position + 1] != "]"
    while more:
        row += 1
        value, position = _element(text, position, row)
        yield value
        position = _skip(text, position)
        separator = text[position : position + 1]
        if separator not in (",", "]"):
            raise UnreadableFile(
                Message("datasets.array-malformed", character=position + 1, element=row, found=separator)
                if separator
                else Message("datasets.array-cut-short", character=position + 1, element=row)
            )
        more = separator == ","
        if more:
            position = _skip(text, position + 1)
    rest = _skip(text, position + 1)
    if rest < len(text):
        raise UnreadableFile(Message("datasets.text-behind-array", character=rest + 1))


def _element(text: str, position: int, row: int) -> tuple[Mapping[str, _Cell], int]:
    try:
        value, end = _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            Message("datasets.element-malformed", character=error.pos + 1, element=row, reason=error.msg)
        ) from error
    except RecursionError as error:
        raise UnreadableFile(Message("datasets.element-nested-too-deep", element=row)) from error
    if not isinstance(value, dict):
        raise UnreadableFile(Message("datasets.element-is-no-object", element=row))
    return value, end


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match is not None else position


def _object(source: Source, limits: Limits) -> "_Columns":
    value = _decoded(_text(source), line=1)
    if not isinstance(value, dict) or not _is_columnar(value):
        raise UnreadableFile(Message("datasets.json-is-one-object"))
    lengths = {key: len(cells) for key, cells in value.items() if isinstance(cells, list)}
    if len(set(lengths.values())) > 1:
        shown = [
            Message("datasets.array-of-length", length=length, name=key) for key, length in list(lengths.items())[:8]
        ]
        raise UnreadableFile(Message("datasets.arrays-of-different-lengths", arrays=shown))
    limits.check_shape(next(iter(lengths.values())), len(lengths))
    keys = list(value)
    arrays = [cells for cells in value.values() if isinstance(cells, list)]
    return _gather((dict(zip(keys, cells, strict=True)) for cells in zip(*arrays, strict=True)), limits, keys)


class _Columns:
    """Rows of objects, turned into text columns a chunk at a time."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._parts: dict[str, list[pl.Series]] = {key: [] for key in keys}
        self._rows = 0
        self._nested: set[str] = set()

    def add(self, chunk: Sequence[Mapping[str, _Cell]], limits: Limits) -> None:
        """Take a chunk of rows."""
        for row in chunk:
            for key in row:
                if key not in self._parts:
                    self._parts[key] = [pl.Series(values=[None], dtype=pl.String).new_from_index(0, self._rows)]
        limits.check_shape(self._rows + len(chunk), len(self._parts))
        for key, parts in self._parts.items():
            try:
                key.encode()
                parts.append(pl.Series([self._written(key, row.get(key)) for row in chunk], dtype=pl.String))
            except UnicodeEncodeError as error:
                raise UnreadableFile(Message("datasets.lone-surrogate", name=ascii(key)[1:-1])) from error
        self._rows += len(chunk)

    def _written(self, key: str, cell: _Cell) -> str | None:
        if cell is None or cell == "":
            return None
        if isinstance(cell, bool):
            return "true" if cell else "false"
        if isinstance(cell, str):
            return str(cell)
        self._nested.add(key)
        return _nested_text(cell)

    def finish(self, layout: Message) -> Raw:
        """All rows as one table."""
        headers, notes = name_columns(list(self._parts))
        columns = [pl.concat(parts) if parts else pl.Series(dtype=pl.String) for parts in self._parts.values()]
        if self._nested:
            notes = (*notes, Message("datasets.nested-values-in", names=sorted(self._nested)[:10]))
        named = [column.alias(header.name) for column, header in zip(columns, headers, strict=True)]
        return Raw(headers=headers, frame=pl.DataFrame(named), format=layout, notes=notes, first_row=1)


def _gather(rows: Iterable[Mapping[str, _Cell]], limits: Limits, keys: Sequence[str] = ()) -> _Columns:
    columns = _Columns(keys)
    chunk: list[Mapping[str, _Cell]] = []
    for row in rows:
        for cell in row.values():
            if isinstance(cell, str) and len(cell) > limits.max_field_bytes:
                raise exceeded("cell characters", len(cell), limits.max_field_bytes)
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            columns.add(chunk, limits)
            chunk = []
    columns.add(chunk, limits)
    return columns


def _nested_text(cell: _Cell, depth: int = 0) -> str:
    if depth > _MAX_DEPTH:
        raise UnreadableFile(Message("datasets.value-nested-too-deep", most=_MAX_DEPTH))
    if isinstance(cell, dict):
        pairs = (
            f"{json.dumps(key, ensure_ascii=False)}: {_nested_text(value, depth + 1)}" for key, value in cell.items()
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(cell, list):
        return "[" + ", ".join(_nested_text(value, depth + 1) for value in cell) + "]"
    if isinstance(cell, _Number):
        return str(cell)
    return json.dumps(cell, ensure_ascii=False)
