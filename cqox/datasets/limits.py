"""Limits on the files that are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded

__all__ = ["Limits", "exceeded"]

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
