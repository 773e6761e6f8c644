"""Text that is an ordered period and would sort as text: W1, W10, W2."""

from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.findings.labels import without_totals
from cqox.datasets.periods import MOST_PERIODS, Recognised, recognise
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, different_rows
from cqox.datasets.vocabulary import match_role

__all__ = ["period_of_role", "periods"]

_LEAST_LIKELY = 0.5


def periods(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding for each column of text whose order as periods is another than as text."""
    found = []
    for column in columns:
        if column.dtype not in ("string", "enum") or column.distinct > MOST_PERIODS:
            continue
        texts = without_totals(different_rows(frame, column.name))
        recognised = recognise(texts)
        if recognised is not None and recognised.sorts_wrong and _says_so(column, recognised):
            found.append(_finding(column.name, recognised, texts))
    return found


def period_of_role(series: pl.Series) -> DataFinding | None:
    """Return the finding on a column that plays a role of time, whatever its name and texts say."""
    if series.dtype not in (pl.String, pl.Enum):
        return None
    texts = without_totals(series)
    recognised = recognise(texts)
    return _finding(series.name, recognised, texts) if recognised is not None and recognised.sorts_wrong else None


def _finding(name: str, recognised: Recognised, texts: Sequence[str]) -> DataFinding:
    # A format that can be read in one way only is applied to the role `time` unasked, so it caps nothing.
    code = "ordered-periods" if recognised.is_safe else "ambiguous-periods"
    examples = list(texts[:3])
    message = (
        Message("findings.ordered-periods", column=name, examples=examples, format=recognised.format)
        if recognised.is_safe
        else Message("findings.ambiguous-periods", column=name, examples=examples, format=recognised.format)
    )
    return DataFinding(
        code=code,
        severity="note" if recognised.is_safe else "caps",
        columns=[name],
        message=message,
        remedy=Remedy(at="analyze", parameters={"period_formats": {name: recognised.format}}),
    )


def _says_so(column: Column, recognised: Recognised) -> bool:
    """Return whether texts or name say that the column holds periods; S1, S2, ... may be shops."""
    if recognised.is_named and not recognised.is_lettered:
        return True
    named = match_role("time", column.name)
    return named is not None and named[0] >= _LEAST_LIKELY
