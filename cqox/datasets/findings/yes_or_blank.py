"""Columns of a mark for yes and an empty cell for no: ○, ✓ or x."""

import unicodedata
from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.table import Column

__all__ = ["yes_or_blank"]

_MARKS = frozenset({
    "○", "◯", "〇", "●", "◎", "o", "x", "✓", "✔", "☑", "レ", "*", "★", "y", "yes", "true", "はい", "有", "有り", "あり",
    "済", "済み", "該当", "対象", "実施",
})  # fmt: skip
"""Words and marks that mean yes where the only other cells are empty."""


def yes_or_blank(frame: pl.DataFrame, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding for each column whose only value is a mark."""
    found = []
    for column in columns:
        if column.dtype not in ("string", "enum") or column.distinct != 1 or not column.missing:
            continue
        mark = str(frame[column.name].drop_nulls()[0])
        if unicodedata.normalize("NFKC", mark).casefold() in _MARKS:
            found.append(
                DataFinding(
                    code="yes-or-blank",
                    severity="caps",
                    columns=[column.name],
                    message=Message(
                        "findings.yes-or-blank", column=column.name, mark=mark, yes=column.count, no=column.missing
                    ),
                    remedy=Remedy(at="analyze", parameters={"yes_no": [column.name]}),
                )
            )
    return found
