"""Columns whose values are in the names of folders, such as `year=2024`."""

import re
from collections.abc import Sequence

import polars as pl

__all__ = ["partition_column"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def partition_column(name: str, values: Sequence[str | None]) -> pl.Series:
    """Return a column as whole numbers or days where all of its values are such, else as words.

    Args:
        name: its name.
        values: one for each file, None where there is none.
    """
    texts = pl.Series(name, values, dtype=pl.String)
    present = [value for value in values if value is not None]
    if present and all(_WHOLE.fullmatch(value) for value in present):
        return texts.str.strip_prefix("+").cast(pl.Int64)
    if present and all(_DAY.fullmatch(value) for value in present):
        days = texts.str.to_date("%Y-%m-%d", strict=False)
        if days.null_count() == texts.null_count():
            return days
    return texts
