"""Rows of totals and subtotals that their labels name: 合計, 小計, Total, 東京 計.

A label that can mean something else (a company called Total) is one only if the row's numbers are sums of other rows.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.slices import compact
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, rows_of_column, slices_of_column

__all__ = ["totals_rows"]

_HINTS = "計|otal|OTAL|ｏｔａｌ|ＯＴＡＬ"
_SURE = re.compile(r"(?:総?合計|総計|小計|grandtotal|sub-?total)(?:値|額)?")
_LIKELY = re.compile(r".*(?:計|total)s?|total.*|合計.*|総計.*|小計.*")
_SHOWN = 5
_MOST_VALUES = 500
_MOST_GROUPS = 4
_TOLERANCE = 1e-4
_FEWEST_ROWS = 3


def totals_rows(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding for each column whose labels name rows of totals."""
    if frame.height < _FEWEST_ROWS:
        return []
    found = []
    for column in columns:
        if column.dtype not in ("string", "enum"):
            continue
        values = _labels(frame, column.name)
        totals = _totals(frame, columns, column.name, values) if values else []
        if totals:
            found.append(_finding(frame, column.name, totals))
    return found


def _finding(frame: Cells, name: str, totals: Sequence[str]) -> DataFinding:
    rows = _places(frame, name, totals).is_not_null().arg_true()
    return DataFinding(
        code="totals-rows",
        severity="caps",
        columns=[name],
        rows=[int(row) + 1 for row in rows.head(_SHOWN)],
        message=Message("findings.totals-rows", column=name, values=list(totals)[:_SHOWN], rows=len(rows)),
        remedy=Remedy(at="analyze", parameters={"drop_rows": [{"column": name, "values": list(totals)}]}),
    )


def _labels(frame: Cells, name: str) -> dict[str, bool]:
    """Return the labels that may name totals, with whether they can mean nothing else."""
    hinted = pl.Series([], dtype=pl.String)
    dtype = frame.schema[name]
    for part in [dtype.categories] if isinstance(dtype, pl.Enum) else slices_of_column(frame, name):
        known = part.drop_nulls()
        new = known.filter(known.str.contains(_HINTS)).unique(maintain_order=True)
        hinted = pl.concat([hinted, compact(new)]).unique(maintain_order=True)
        if hinted.len() > _MOST_VALUES:
            return {}
    plain = {label: _plain(label) for label in hinted.to_list()}
    return {label: bool(_SURE.fullmatch(word)) for label, word in plain.items() if _LIKELY.fullmatch(word)}


def _places(frame: Cells, name: str, values: Collection[str]) -> pl.Series:
    """Return for each row the place of its label among some; null if it is not among them."""
    labels = pl.Enum(list(values))
    parts = (part.cast(pl.String).cast(labels, strict=False) for part in slices_of_column(frame, name))
    return pl.concat(part.to_physical().cast(pl.UInt32) for part in parts)


def _plain(label: str) -> str:
    return "".join(unicodedata.normalize("NFKC", label).casefold().split()).strip("()[]【】<>＜＞:：")


def _totals(frame: Cells, columns: Sequence[Column], name: str, values: dict[str, bool]) -> list[str]:
    """Return those labels whose rows are totals."""
    places = _places(frame, name, values)
    flagged = places.is_not_null()
    if flagged.sum() > frame.height / 2:
        return []
    numbers = [column.name for column in columns if column.is_number and column.kind != "id" and column.distinct > 1]
    groups = [column.name for column in columns if column.name != name and _may_group(column)][:_MOST_GROUPS]
    marks = flagged.to_numpy()
    return [
        value
        for place, (value, sure) in enumerate(values.items())
        if sure or _is_sum(frame, (places == place).fill_null(value=False), marks, numbers, groups)
    ]


def _may_group(column: Column) -> bool:
    return column.kind in ("date", "category", "binary", "id", "text", "count") and 1 < column.distinct < column.count


def _is_sum(
    frame: Cells,
    rows: pl.Series,
    flagged: NDArray[np.bool_],
    numbers: Sequence[str],
    groups: Sequence[str],
) -> bool:
    """Return whether a third of the numbers in some rows are sums of other rows."""
    if not numbers or not rows.any():
        return False
    places = rows.arg_true().to_numpy()
    least = max(1, -(-len(numbers) // 3))
    wholes = (_whole_and_block(frame[name], places, flagged) for name in numbers)
    whole, block = (sum(column) for column in zip(*wholes, strict=True))
    if max(whole, block) >= least:
        return True
    return any(sum(matches) >= least for matches in _by_group(frame, rows, flagged, numbers, groups))


def _whole_and_block(series: pl.Series, places: NDArray[np.uint32], flagged: NDArray[np.bool_]) -> tuple[bool, bool]:
    """Return whether the rows are the sum of all rows without a label, and that of the rows since the last label."""
    values = series.cast(pl.Float64).fill_null(0.0).to_numpy()
    # Numbers near the largest double have no sum; `_same` finds none to be equal then.
    with np.errstate(over="ignore"):
        sums = np.concatenate(([0.0], np.cumsum(np.where(flagged, 0.0, values))))
    addends = np.concatenate(([0], np.cumsum(~flagged & (values != 0))))
    marks = np.flatnonzero(flagged)
    before = np.searchsorted(marks, places)
    start = np.where(before > 0, marks[np.maximum(before - 1, 0)] + 1, 0)
    whole = len(places) == 1 and addends[-1] > 1 and _same(values[places], sums[-1:])
    with np.errstate(invalid="ignore"):
        blocks = sums[places] - sums[start]
    block = bool((addends[places] - addends[start] > 1).any()) and _same(values[places], blocks)
    return whole, block


def _same(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> bool:
    if not np.isfinite(wanted).all():
        return False
    near = np.abs(found - wanted) <= _TOLERANCE * np.abs(wanted)
    return bool(near.all() and (wanted != 0).any())


def _by_group(
    frame: Cells,
    rows: pl.Series,
    flagged: NDArray[np.bool_],
    numbers: Sequence[str],
    groups: Sequence[str],
) -> Iterator[list[bool]]:
    """Yield for each grouping column whether each number is the sum of the other rows of its group."""
    chosen = rows.arg_true()
    totals = {name: rows_of_column(frame, name, chosen) for name in {*groups, *numbers}}
    for group in groups:
        if totals[group].null_count() or totals[group].n_unique() < len(chosen):
            continue
        summed = [name for name in numbers if name != group]
        others = pl.DataFrame([frame[name].filter(pl.Series(~flagged)) for name in (group, *summed)])
        sums = others.group_by(group).agg(pl.col(summed).cast(pl.Float64).sum(), pl.len().alias("\0rows"))
        both = pl.DataFrame([totals[name] for name in (group, *summed)]).join(
            sums, on=group, how="left", suffix="\0sum"
        )
        if (both["\0rows"].fill_null(0) < 2).any():
            continue
        yield [
            _same(both[name].cast(pl.Float64).fill_null(0.0).to_numpy(), both[f"{name}\0sum"].to_numpy())
            for name in summed
        ]
