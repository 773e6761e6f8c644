"""Remedies that an analysis applies to a stored table: rows left out, periods in text, marks for yes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cqox.analysis.mapping import check_remedies
from cqox.analysis.time_roles import means_never
from cqox.contract import Options, PeriodFormat
from cqox.contract.messages import Message
from cqox.datasets import Column, ColumnsOnDisk, Description, as_periods, fits, kept_rows, redescribed
from cqox.errors import InvalidRequest

__all__ = ["Remedied", "remedied"]

_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedied:
    """A table as the options of an analysis have it read.

    Attributes:
        table: its columns.
        columns: their descriptions by name; those of mapped columns are of the rows that are left.
        notes: what was changed.
    """

    table: ColumnsOnDisk
    columns: Mapping[str, Column]
    notes: Sequence[Message]


def remedied(
    path: Path, description: Description, options: Options, *, mapped: Sequence[str], cohort: str | None = None
) -> Remedied:
    """Return the table without the rows to drop, with periods and marks for yes as numbers or dates.

    Args:
        path: the table, as stored by `cqox.datasets`.
        description: its description.
        options: `drop_rows`, `period_formats` and `yes_no` are applied, in this order.
        mapped: the columns that play a role.
        cohort: the column of first treated periods, in which some words mean never.

    Raises:
        InvalidRequest: an option names a column that does not exist, or one whose values it cannot read.
        UnusableData: no row is left.
    """
    table = ColumnsOnDisk(path=path, height=description.rows)
    columns = {column.name: column for column in description.columns}
    check_remedies(options, list(columns))
    changed: dict[str, pl.Series] = {}
    notes: list[Message] = []
    if options.drop_rows:
        kept = kept_rows(table, list(columns), options.drop_rows, field="options.drop_rows")
        dropped = table.height - int(kept.sum())
        table = replace(table, kept=kept, height=int(kept.sum()))
        notes.append(Message("findings.rows-dropped", rows=dropped) if dropped else Message("findings.no-row-matches"))
        for name in mapped if dropped else ():
            series, columns[name] = redescribed(table[name], columns[name], again=True)
            if series.dtype != table[name].dtype:
                changed[name] = series
    table = replace(table, replaced=changed)
    for name, format_ in (options.period_formats or {}).items():
        series = _periods(table[name], format_, never=name == cohort)
        changed[name], columns[name] = redescribed(series, columns[name])
        first, last = str(series.min()), str(series.max())
        notes.append(Message("findings.periods-read", column=name, format=format_, first=first, last=last))
    for name in options.yes_no or ():
        series, mark = _marks(table[name])
        changed[name], columns[name] = redescribed(series, columns[name])
        notes.append(Message("findings.yes-no-read", column=name, mark=mark))
    return Remedied(table=table, columns=columns, notes=notes)


def _periods(series: pl.Series, format_: PeriodFormat, *, never: bool) -> pl.Series:
    field = f"options.period_formats.{series.name}"
    if series.dtype not in (pl.String, pl.Enum):
        raise InvalidRequest(Message("findings.format-of-no-text", column=series.name), field=field)
    read = as_periods(series, format_)
    odd = series.filter(read.is_null() & series.is_not_null()).cast(pl.String).unique(maintain_order=True).to_list()
    odd = [word for word in odd if not (never and means_never(word))]
    if odd:
        shown = odd[:_MOST_SHOWN]
        raise InvalidRequest(
            Message("findings.format-does-not-fit", column=series.name, values=shown, number=len(odd), format=format_),
            field=field,
            choices=fits(series),
        )
    return read


def _marks(series: pl.Series) -> tuple[pl.Series, str]:
    """Return 1 where a column has its mark and 0 where it is empty, and the mark."""
    values = series.drop_nulls().unique(maintain_order=True)
    if len(values) != 1:
        shown = [str(value) for value in values.head(_MOST_SHOWN)]
        raise InvalidRequest(
            Message("findings.several-marks", column=series.name, values=shown), field="options.yes_no"
        )
    return series.is_not_null().cast(pl.Int64).alias(series.name), str(values[0])
