"""The structure of a table's cells: its panel index, how 0/1 columns run within units, and what was computed.

Names propose and cells decide: `lwage` is a logarithm only where the cells of `wage` say so. Of tables of many rows
whole units are looked at, or evenly spaced rows where no name says what the units are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from cqox.datasets.computed_columns import Computed, computed_columns
from cqox.datasets.distinct import count_largest, first_distinct
from cqox.datasets.table import Column
from cqox.datasets.vocabulary import match_role

__all__ = ["LOOKED_AT", "Structure", "may_be_units", "rows_to_look_at", "structure_of", "units_of"]

LOOKED_AT = 20_000
"""Rows of a table, about, that show its structure."""

_INDICATORS = 3
# Share of the rows that a set of indicators covers.
_EXHAUSTIVE = 0.95
# Share of the cells of unit x time that a panel fills, where no name says that it is one.
_BALANCED = 0.8
# Share of treated rows in which two codings of one start may differ.
_SAME_START = 0.25
_NUMBERED = re.compile(r"(\D+?)[_.-]?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Facts about columns that the cells show.

    Attributes:
        unit: column of the units of a panel, with `time` unique by row; None without a panel.
        time: column of its periods.
        absorbing: 0/1 columns that start at different times, or in some units only, and stay; the widest first.
        phased_in: shares between 0 and 1 that grow from 0 and stay, but for those that start with an absorbing column.
        varying: 0/1 columns that vary within units and between units of a period, those that stay included.
        calendar: columns of two values that are the same in all rows of a period.
        fixed: columns that are constant within every unit.
        indicators: 0/1 columns of a numbered set, or of a set of which one is 1 in nearly each row.
        computed: column to what it was computed from.
    """

    unit: str | None = None
    time: str | None = None
    absorbing: tuple[str, ...] = ()
    phased_in: frozenset[str] = frozenset()
    varying: frozenset[str] = frozenset()
    calendar: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    indicators: frozenset[str] = frozenset()
    computed: Mapping[str, Computed] = field(default_factory=dict)


def rows_to_look_at(column: Callable[[str], pl.Series], columns: Sequence[Column]) -> pl.Series | None:
    """Return which rows of a table show its structure: all rows of some units, or evenly spaced ones; None for all.

    Args:
        column: returns all rows of a column by its name.
        columns: their descriptions.
    """
    height = columns[0].count + columns[0].missing if columns else 0
    if height <= LOOKED_AT:
        return None
    name = units_of(columns)
    units = None if name is None else column(name)
    largest = 0 if units is None else count_largest(units)
    if units is None or largest > LOOKED_AT:
        kept = np.zeros(height, dtype=np.bool_)
        kept[:: -(-height // LOOKED_AT)] = True
        return pl.Series(kept)
    some = first_distinct(units, max(2, LOOKED_AT // largest))
    return units.is_in(some.implode()).fill_null(value=False)


def units_of(columns: Sequence[Column]) -> str | None:
    """Return the column whose name is surest to be that of units which have several rows; None without one."""
    named = [(match_role("unit_id", one.name), one) for one in columns if one.kind not in ("real", "date", "text")]
    repeating = [(named[0], one.name) for named, one in named if named and 2 * one.distinct <= one.count]
    return max(repeating, key=lambda item: item[0])[1] if repeating else None


def may_be_units(name: str) -> bool:
    """Return whether a column of this name may be that of units."""
    return match_role("unit_id", name) is not None


def structure_of(rows: pl.DataFrame, columns: Sequence[Column]) -> Structure:
    """Return the structure of a table.

    Args:
        rows: the rows that `rows_to_look_at` chooses; one column for each of `columns`.
        columns: their descriptions.
    """
    if rows.height < 2:
        return Structure()
    time = _time(columns)
    unit = _unit(rows, columns, time) if time else None
    ordered = rows.sort(unit, time, maintain_order=True) if unit and time else rows
    switches = {one.name: _switch(ordered[one.name]) for one in columns if _is_switch(one)}
    calendar = frozenset(_constant_within(rows, [*switches], time)) if time else frozenset()
    fixed: frozenset[str] = frozenset()
    absorbing: list[str] = []
    varying: list[str] = []
    if unit and time:
        fixed = frozenset(_constant_within(rows, [one.name for one in columns if one.name != unit], unit))
        starts = _unit_starts(ordered[unit])
        for name, values in switches.items():
            if name in calendar or name in fixed:
                continue
            varying.append(name)
            if _stays(values, starts):
                absorbing.append(name)
    phased_in = _phased_in(ordered, columns, unit, [switches[name] for name in absorbing]) if unit else frozenset()
    absorbing.sort(key=lambda name: -float(np.nansum(switches[name])))
    return Structure(
        unit=unit,
        time=time,
        absorbing=tuple(absorbing),
        phased_in=phased_in,
        varying=frozenset(varying),
        calendar=calendar,
        fixed=fixed,
        indicators=_indicators(switches),
        computed=computed_columns(ordered, columns, switches, unit=unit),
    )


def _is_switch(column: Column) -> bool:
    return column.kind == "binary" and column.is_number and (column.minimum, column.maximum) == (0, 1)


def _switch(values: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _time(columns: Sequence[Column]) -> str | None:
    """The column whose name is surest to be a period and that repeats."""
    best: tuple[float, str] | None = None
    for column in columns:
        named = match_role("time", column.name)
        repeats = 2 <= column.distinct <= column.count / 2 and column.kind not in ("text", "real")
        if named and repeats and (best is None or named[0] > best[0]):
            best = (named[0], column.name)
    return best[1] if best and best[0] >= 0.5 else None


def _unit(rows: pl.DataFrame, columns: Sequence[Column], time: str) -> str | None:
    """The column that with the period is unique by row: named as ids are, or filling most of units x periods."""
    periods = rows[time].n_unique()
    found: list[tuple[float, str]] = []
    for column in columns:
        if match_role("time", column.name) or column.kind in ("real", "date", "binary", "text") or column.missing:
            continue
        units = rows[column.name].n_unique()
        if units < 2 or units * 2 > rows.height:
            continue
        named = match_role("unit_id", column.name)
        filled = rows.height / (units * periods)
        if not named and (filled < _BALANCED or filled > 1):
            continue
        if rows.select(column.name, time).is_unique().all():
            found.append((2.0 if named else filled, column.name))
    return max(found, key=lambda one: one[0])[1] if found else None


def _constant_within(rows: pl.DataFrame, names: Sequence[str], by: str) -> list[str]:
    """The columns that have at most one value in each group."""
    others = [name for name in names if name != by]
    if not others:
        return []
    most = rows.group_by(by).agg(pl.col(others).drop_nulls().n_unique()).select(pl.col(others).max()).row(0)
    return [name for name, distinct in zip(others, most, strict=True) if distinct <= 1]


def _unit_starts(units: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return whether each row is the first of its unit, rows being sorted by unit."""
    return np.concatenate([[True], (units != units.shift(1)).fill_null(value=False).to_numpy()[1:]])


def _stays(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], starts: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> bool:
    """Return whether a 0/1 column, sorted by unit and time, never falls within a unit."""
    falls = np.diff(values) < 0
    return not bool((falls & ~starts[1:]).any())


def _phased_in(
    ordered: pl.DataFrame,
    columns: Sequence[Column],
    unit: str,
    absorbing: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> frozenset[str]:
    """Shares that never fall within a unit, such as a law in force for a part of its first year."""
    starts = _unit_starts(ordered[unit])
    found = []
    for column in columns:
        if column.kind != "real" or column.missing or (column.minimum, column.maximum) != (0, 1):
            continue
        values = ordered[column.name].to_numpy()
        in_force = (values > 0).astype(np.float64)
        if _stays(values, starts) and not any(_is_same_start(in_force, other) for other in absorbing):
            found.append(column.name)
    return frozenset(found)


def _is_same_start(
    one: np.ndarray[tuple[int], np.dtype[np.float64]], other: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> bool:
    """Return whether two columns start together, but for a period in a few units."""
    return float((one != other).mean()) <= _SAME_START * float(max(one.mean(), 1e-9))


def _indicators(switches: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> frozenset[str]:
    numbered: dict[str, list[str]] = {}
    for name in switches:
        match = _NUMBERED.fullmatch(name)
        if match:
            numbered.setdefault(match[1], []).append(name)
    found = {name for names in numbered.values() if len(names) >= _INDICATORS for name in names}
    ones = {name: values == 1 for name, values in switches.items() if name not in found}
    wide = sorted(ones, key=lambda name: -int(ones[name].sum()))
    for name in wide:
        if name in found:
            continue
        chosen, covered = [name], ones[name].copy()
        for other in wide:
            if other != name and other not in found and not (covered & ones[other]).any():
                chosen.append(other)
                covered |= ones[other]
        # Rows in which the column is empty are counted as covered.
        if len(chosen) >= _INDICATORS and (covered | np.isnan(switches[name])).mean() >= _EXHAUSTIVE:
            found.update(chosen)
    return frozenset(found)
