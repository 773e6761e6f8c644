"""Limits on the files that are read, and the options of reading that a client may give."""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, LimitExceeded

__all__ = ["Limits", "ReadOptions", "exceeded"]

_DELIMITERS = (",", "\t", ";", "|")
_NOT_OF_FILES = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape"})
"""Codecs that no file of a table is written in; decoding the first two takes the square of the bytes."""

_MIB = 1 << 20

type Counted = Literal["rows", "columns", "cells", "cell bytes", "cell characters"]

_COUNTED: Mapping[Counted, tuple[Message, str]] = {
    "rows": (Message("datasets.word-rows"), "CQOX_MAX_ROWS"),
    "columns": (Message("datasets.word-columns"), "CQOX_MAX_COLUMNS"),
    "cells": (Message("datasets.word-cells"), ""),
    "cell bytes": (Message("datasets.word-bytes-in-one-cell"), ""),
    "cell characters": (Message("datasets.word-characters-in-one-cell"), ""),
}
"""Name of each counted quantity in messages, and the setting of its limit where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits beyond which a file is refused; each is checked before the step that would pay for it.

    Attributes:
        max_bytes: size of the file as sent.
        max_expanded_bytes: size after decompression, and of the text of any one table.
        max_expansion_ratio: expanded size over sent size, looked at beyond 32 MiB; 1000:1 is a bomb, not a table.
        max_rows: rows below the header.
        max_columns: columns.
        max_cells: rows times columns, which is what memory is spent on.
        max_levels: levels that are listed for a column and that may become indicator columns.
        max_field_bytes: bytes of one cell or header.
    """

    max_bytes: int = 1024 * _MIB
    max_expanded_bytes: int = 4096 * _MIB
    max_expansion_ratio: int = 200
    max_rows: int = 10_000_000
    max_columns: int = 5_000
    max_cells: int = 200_000_000
    max_levels: int = 50
    max_field_bytes: int = 131_072

    def check_shape(self, rows: int, columns: int) -> None:
        """Refuse a table that is too long, too wide or too large.

        Raises:
            LimitExceeded: naming the limit and what was found.
        """
        if columns > self.max_columns:
            raise exceeded("columns", columns, self.max_columns)
        if rows > self.max_rows:
            raise exceeded("rows", rows, self.max_rows)
        if rows * columns > self.max_cells:
            raise exceeded("cells", rows * columns, self.max_cells)


def exceeded(what: Counted, found: int, limit: int, *, at_least: bool = False) -> LimitExceeded:
    """The error for `found` of something where at most `limit` are read."""
    noun, setting = _COUNTED[what]
    remedy = Message("datasets.raise-the-setting", setting=setting) if setting else Message("datasets.ask-the-operator")
    return LimitExceeded(
        Message("datasets.at-least-too-many", found=found, limit=limit, remedy=remedy, what=noun)
        if at_least
        else Message("datasets.too-many", found=found, limit=limit, remedy=remedy, what=noun)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading that a client gives; None leaves the decision to the content of the file.

    Attributes:
        encoding: a text encoding by any name that Python knows.
        delimiter: one of comma, tab, semicolon and vertical bar.
        sheet: name of the sheet, or its position from 0.
        decimal: the decimal mark, a point or a comma.
        na: the texts that mean a missing value, instead of the built-in ones; an empty cell always does.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | int | None = None
    decimal: str | None = None
    na: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for option in ("encoding", "delimiter", "decimal"):
            if not isinstance(getattr(self, option), str | None):
                raise InvalidRequest(Message("datasets.option-takes-text", option=option), field=option)
        if isinstance(self.sheet, bool) or not isinstance(self.sheet, str | int | None):
            raise InvalidRequest(Message("datasets.sheet-takes-name-or-position"), field="sheet")
        if self.na is not None:
            given: object = (self.na,) if isinstance(self.na, str) else self.na
            if not isinstance(given, list | tuple) or not all(isinstance(token, str) for token in given):
                raise InvalidRequest(Message("datasets.na-takes-list"), field="na")
            object.__setattr__(self, "na", tuple(given))
        if self.delimiter is not None and self.delimiter not in _DELIMITERS:
            raise InvalidRequest(
                Message("datasets.unsupported-delimiter", delimiter=self.delimiter),
                field="delimiter",
                choices=_DELIMITERS,
            )
        if self.decimal is not None and self.decimal not in (".", ","):
            raise InvalidRequest(
                Message("datasets.unsupported-decimal-mark", decimal=self.decimal),
                field="decimal",
                choices=(".", ","),
            )
        if self.decimal is not None and self.decimal == self.delimiter:
            raise InvalidRequest(Message("datasets.decimal-mark-is-delimiter"), field="decimal")
        if self.encoding is not None:
            _check_encoding(self.encoding)

    def given(self) -> Mapping[str, str | int | list[str]]:
        """The options that differ from their default, in a fixed order, with encodings under their canonical name."""
        found: dict[str, str | int | list[str]] = {}
        for option in sorted(field.name for field in fields(self)):
            value: str | int | tuple[str, ...] | None = getattr(self, option)
            if option == "encoding" and isinstance(value, str):
                found[option] = codecs.lookup(value).name
            elif isinstance(value, tuple):
                found[option] = sorted(set(value))
            elif value is not None:
                found[option] = value
        return found


def _check_encoding(name: str) -> None:
    try:
        # str.encode refuses the codecs that are none of text, such as base64.
        codec = codecs.lookup(name).name
        if codec in _NOT_OF_FILES:
            raise LookupError(codec)
        "a".encode(codec)
    except (LookupError, ValueError):
        raise InvalidRequest(
            Message("datasets.no-such-encoding", encoding=name),
            field="encoding",
            choices=("utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"),
        ) from None
