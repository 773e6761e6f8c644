"""Texts of a column without those that name totals."""

import polars as pl

__all__ = ["without_totals"]

_TOTAL = r"(?i)^\s*(?:総?合\s*計|総\s*計|小\s*計|計|(?:grand |sub-?)?totals?)\s*$"


def without_totals(series: pl.Series) -> list[str]:
    """Return the different texts of a column in their order, without those such as 合計 and Total."""
    words = series.drop_nulls().unique(maintain_order=True).cast(pl.String)
    return words.filter(~words.str.contains(_TOTAL)).to_list()
