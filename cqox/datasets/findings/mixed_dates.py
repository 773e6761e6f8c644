"""Days that one column has in several styles, so that it is text and sorts as text."""

from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.findings.labels import without_totals
from cqox.datasets.mixed_dates import date_styles, mixed_format
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, different_rows, slices_of_column

__all__ = ["mixed_dates"]

_LOOKED_AT = 200
_MOST_DAYS = 20_000


def mixed_dates(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding for each column of text whose cells are all days, in at least two styles."""
    found = []
    for column in columns:
        if column.dtype not in ("string", "enum") or column.distinct > _MOST_DAYS:
            continue
        head = without_totals(next(slices_of_column(frame, column.name)).head(_LOOKED_AT))
        if not head or not date_styles(pl.Series(head)):
            continue
        texts = pl.Series(without_totals(different_rows(frame, column.name)))
        styles = date_styles(texts)
        if len(styles) > 1:
            found.append(_finding(column.name, texts, styles))
    return found


def _finding(name: str, texts: pl.Series, styles: Sequence[pl.Series]) -> DataFinding:
    format_ = mixed_format(texts)
    examples = [style[0] for style in styles]
    message = (
        Message("findings.mixed-dates-ambiguous", column=name, examples=examples)
        if format_ is None
        else Message("findings.mixed-dates", column=name, examples=examples)
    )
    remedy = None if format_ is None else Remedy(at="analyze", parameters={"period_formats": {name: format_}})
    return DataFinding(code="mixed-dates", severity="caps", columns=[name], message=message, remedy=remedy)
