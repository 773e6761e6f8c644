"""Cells of a file put into the form of a table: headers of several rows, merged cells, totals, wide panels."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from cqox.contract import Unpivot
from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.datasets.headers import Header, name_columns
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.read_options import ReadOptions
from cqox.datasets.row_drops import kept_rows
from cqox.datasets.wide_columns import Measure, measures_of
from cqox.errors import InvalidRequest, UnusableData

__all__ = ["reshaped", "with_header_rows"]

_UNIT = "unit"


def reshaped(raw: Raw, options: ReadOptions, limits: Limits) -> Raw:
    """Return the table that the client's options describe, in the order dropped rows, fill-down, unpivot.

    Raises:
        InvalidRequest: an option names a column that does not exist, or a column of no period.
        UnusableData: no row is left.
        LimitExceeded: the rows of a wide panel are too many.
    """
    if options.drop_rows:
        kept = kept_rows(raw.frame, raw.frame.columns, options.drop_rows, field="drop_rows")
        note = Message("findings.rows-dropped", rows=raw.frame.height - int(kept.sum()))
        raw = replace(raw, frame=raw.frame.filter(kept), notes=(*raw.notes, note))
    if options.fill_down:
        raw = _filled(raw, options.fill_down)
    return raw if options.unpivot is None else _long(raw, options.unpivot, limits)


def with_header_rows(raw: Raw, rows: int | None) -> Raw:
    """Return the table with names from several rows; blanks to the right of a name of an upper row are merged cells.

    Raises:
        UnusableData: there are not that many rows.
    """
    more = (rows or 1) - 1
    if not more:
        return raw
    if raw.frame.height <= more:
        raise UnusableData(Message("findings.header-rows-beyond-last", rows=rows), field="header_rows")
    below = [_row(raw.frame, number) for number in range(more)]
    levels = [[header.original.strip() for header in raw.headers], *below]
    merged = [_spread(level, levels[number + 1 :]) for number, level in enumerate(levels)]
    originals = [" ".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*merged, strict=True)]
    headers, notes = name_columns(originals)
    frame = raw.frame.slice(more)
    frame.columns = [header.name for header in headers]
    note = Message("findings.header-rows-joined", rows=rows, example=headers[-1].name)
    return replace(raw, headers=headers, frame=frame, notes=(*raw.notes, *notes, note), first_row=raw.first_row + more)


def _row(frame: pl.DataFrame, number: int) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in frame.row(number)]


def _spread(level: Sequence[str], lower: Sequence[Sequence[str]]) -> list[str]:
    """Return a row of headers with each name also over the blanks to its right, where a lower row has a name."""
    spread: list[str] = []
    for place, cell in enumerate(level):
        blank = not cell and bool(spread) and any(row[place] for row in lower)
        spread.append(spread[-1] if blank else cell)
    return spread


def _filled(raw: Raw, names: Sequence[str]) -> Raw:
    frame, filled = raw.frame, 0
    for name in names:
        _check_column(name, frame.columns, "fill_down")
        series = frame[name]
        if series.dtype == pl.String:
            series = frame.select(pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name))).to_series()
        whole = series.forward_fill()
        filled += series.null_count() - whole.null_count()
        frame = frame.with_columns(whole.alias(name))
    note = Message("findings.cells-filled", cells=filled, columns=list(names))
    return replace(raw, frame=frame, notes=(*raw.notes, note))


def _long(raw: Raw, unpivot: Unpivot, limits: Limits) -> Raw:
    """Return one row for each row and period, in the order of the rows."""
    frame = raw.frame
    for name in unpivot.columns:
        _check_column(name, frame.columns, "unpivot.columns")
    measures = measures_of(unpivot.columns)
    odd = [name for name in unpivot.columns if not any(name in measure.columns.values() for measure in measures)]
    if odd:
        raise InvalidRequest(
            Message("findings.column-without-period", column=odd[0]), field="unpivot.columns", choices=frame.columns
        )
    kept = [name for name in frame.columns if name not in unpivot.columns]
    headers = {header.name: header for header in raw.headers}
    unit = [] if any(frame[name].n_unique() == frame.height for name in kept) else [_free(_UNIT, kept)]
    names = _named(measures, [*kept, *unit, unpivot.period])
    periods = sorted({period for measure in measures for period in measure.columns}, key=_numeric_first)
    limits.check_shape(frame.height * len(periods), len(kept) + len(unit) + 1 + len(names))
    parts = [_of_period(frame.with_row_index("\0row"), kept, unit, unpivot.period, period, names) for period in periods]
    long = pl.concat(parts, how="vertical_relaxed").sort("\0row", maintain_order=True).drop("\0row")
    new = [Header(name, name) for name in long.columns[len(kept) :]]
    note = Message("findings.columns-unpivoted", columns=len(unpivot.columns), periods=len(periods))
    return replace(
        raw, headers=(*(headers[name] for name in kept), *new), frame=long, notes=(*raw.notes, note), first_row=1
    )


def _of_period(
    frame: pl.DataFrame,
    kept: Sequence[str],
    unit: Sequence[str],
    column: str,
    period: str,
    names: Mapping[str, Measure],
) -> pl.DataFrame:
    of_measures = [
        (pl.col(measure.columns[period]) if period in measure.columns else pl.lit(None, dtype=pl.String)).alias(name)
        for name, measure in names.items()
    ]
    units = [(pl.col("\0row") + 1).cast(pl.Int64).alias(name) for name in unit]
    return frame.select("\0row", *kept, *units, pl.lit(period).alias(column), *of_measures)


def _named(measures: Sequence[Measure], taken: Sequence[str]) -> dict[str, Measure]:
    names: dict[str, Measure] = {}
    for measure in measures:
        names[_free(measure.name or "value", [*taken, *names])] = measure
    return names


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _numeric_first(period: str) -> tuple[float, str]:
    return (float(period), "") if period.isdecimal() else (float("inf"), period)


def _check_column(name: str, names: Sequence[str], field: str) -> None:
    if name not in names:
        raise unknown_word(Message("findings.word-column"), unicodedata.normalize("NFC", name), names, field=field)
