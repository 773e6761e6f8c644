"""Options of reading that a client may give."""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, JsonValue

from cqox.contract import DropRows, ReshapingOptions, Unpivot, decode_option, parse_model
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["ReadOptions"]

_DELIMITERS = (",", "\t", ";", "|")
_NOT_OF_FILES = frozenset({"punycode", "idna", "unicode_escape", "raw_unicode_escape"})
"""Codecs that no file of a table is written in; decoding the first two takes the square of the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading that a client gives; None leaves the decision to the content of the file.

    Attributes:
        encoding: a text encoding by any name that Python knows.
        delimiter: one of comma, tab, semicolon and vertical bar.
        sheet: name of the sheet, or its position from 0.
        decimal: the decimal mark, a point or a comma.
        na: the texts that mean a missing value, instead of the built-in ones; an empty cell always does.
        header_row: row in which the header begins, from 1, of a workbook or of delimited text.
        header_rows: rows that the header takes.
        drop_rows: rows to leave out; as JSON text or values.
        fill_down: columns in which an empty cell has the value above it; a list, its JSON text, or names separated by
            commas.
        unpivot: columns of several periods to turn into rows; as JSON text or values.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | int | None = None
    decimal: str | None = None
    na: Sequence[str] | None = None
    header_row: int | None = None
    header_rows: int | None = None
    drop_rows: Sequence[DropRows] | None = None
    fill_down: Sequence[str] | None = None
    unpivot: Unpivot | None = None

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
        self._parse_reshaping()

    def _parse_reshaping(self) -> None:
        given = {name: _decoded(name, getattr(self, name)) for name in ReshapingOptions.model_fields}
        if any(value is not None for value in given.values()):
            parsed = parse_model(ReshapingOptions, given)
            for name in given:
                object.__setattr__(self, name, getattr(parsed, name))

    def given(self) -> Mapping[str, JsonValue]:
        """The options that differ from their default, in a fixed order, with encodings under their canonical name."""
        found: dict[str, JsonValue] = {}
        for option in sorted(field.name for field in fields(self)):
            value: Any = getattr(self, option)
            if option == "encoding" and isinstance(value, str):
                found[option] = codecs.lookup(value).name
            elif isinstance(value, tuple):
                found[option] = sorted(set(value))
            elif isinstance(value, Unpivot):
                found[option] = value.model_dump(mode="json")
            elif option == "drop_rows" and value is not None:
                found[option] = [drop.model_dump(mode="json") for drop in value]
            elif value is not None:
                found[option] = value
        return found


def _decoded(name: str, value: object) -> JsonValue:
    """Return an option of form fields and flags, which are text, as JSON values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_decoded(name, each) if isinstance(each, BaseModel) else each for each in value]
    return decode_option(name, value)  # type: ignore[arg-type]


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
