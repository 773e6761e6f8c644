"""Columns that were computed from other columns of the same table: logarithms, squares, products, lags, differences.

A name proposes the base (`agesq` and `age`, `lag_y` and `y`); the cells decide. Products of 0/1 columns and indicators
of an amount (`unem75`, which is 1 where `re75` is 0) are sought in the cells alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import polars as pl

from cqox.datasets.table import Column

__all__ = ["Computed", "computed_columns"]

type _Values = np.ndarray[tuple[int], np.dtype[np.float64]]
type How = Literal["logarithm", "square", "product", "indicator", "lag", "difference"]

_LOGARITHM = re.compile(r"(?:log|ln|l)_?(.+)")
_SQUARE = re.compile(r"(.+?)[_.]?(?:sq|squared|2|\^2)")
_LAGS = (re.compile(r"(.+?)_(?:l|lag)?1|(.+?)_lag"), re.compile(r"(?:lag|l)_?1?_?(.+)"))
_DIFFERENCE = re.compile(r"(?:c|d|g|delta|diff|growth)_?(.+)")
_MOST_SWITCHES = 40
_FEWEST = 8
_EQUAL = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The computation of a column.

    Attributes:
        how: the operation.
        bases: the columns that it was computed from.
    """

    how: How
    bases: tuple[str, ...]


def computed_columns(
    rows: pl.DataFrame, columns: Sequence[Column], switches: Mapping[str, _Values], *, unit: str | None
) -> dict[str, Computed]:
    """Return the columns that were computed from others.

    Args:
        rows: the cells; sorted by unit and time in a panel.
        columns: their descriptions.
        switches: its 0/1 columns.
        unit: column of the units of a panel.
    """
    amounts = {
        one.name: rows[one.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for one in columns
        if one.is_number and one.distinct > 1
    }
    found: dict[str, Computed] = {}
    for name, how, base in _proposed([*amounts], in_panel=unit is not None):
        if name not in found and _holds(how, amounts[name], amounts[base], rows, unit):
            found[name] = Computed(how=how, bases=(base,))
    few = dict(list(switches.items())[:_MOST_SWITCHES])
    for made in (_products(amounts, few), _indicators(amounts, few), _observed(rows, columns, few)):
        found |= {name: one for name, one in made.items() if name not in found}
    return found


def _proposed(names: Sequence[str], *, in_panel: bool) -> Iterator[tuple[str, How, str]]:
    """The pairs of columns that their names suggest, with the operation."""
    known = {name.lower(): name for name in names}
    patterns: list[tuple[How, re.Pattern[str]]] = [("logarithm", _LOGARITHM), ("square", _SQUARE)]
    if in_panel:
        patterns += [("lag", _LAGS[0]), ("lag", _LAGS[1]), ("difference", _DIFFERENCE)]
    for name in names:
        for how, pattern in patterns:
            match = pattern.fullmatch(name.lower())
            base = next((part for part in match.groups() if part), "") if match else ""
            if base in known and known[base] != name:
                yield name, how, known[base]


def _holds(how: How, values: _Values, base: _Values, rows: pl.DataFrame, unit: str | None) -> bool:
    with np.errstate(all="ignore"):
        match how:
            case "logarithm":
                return _equal(values, np.log(base)) or _equal(values, np.log1p(base))
            case "square":
                return _equal(values, base * base) or _equal(values * 100, base * base)
            case _:
                assert unit is not None
                units = rows[unit]
                first = (units != units.shift(1)).fill_null(value=True).to_numpy()
                lagged = np.where(first, np.nan, np.roll(base, 1))
                if how == "lag":
                    return _equal(values, lagged)
                changes = base - lagged
                return any(_equal(values, other) for other in (changes, np.abs(changes), np.log(base / lagged)))


def _equal(one: _Values, other: _Values) -> bool:
    both = np.isfinite(one) & np.isfinite(other)
    if int(both.sum()) < _FEWEST:
        return False
    scale = max(1.0, float(np.abs(one[both]).max()))
    return bool((np.abs(one[both] - other[both]) <= _EQUAL * scale).all())


def _products(amounts: Mapping[str, _Values], switches: Mapping[str, _Values]) -> dict[str, Computed]:
    """Products of two 0/1 columns, and of a 0/1 column and an amount at the end of whose name the amount's stands."""
    found: dict[str, Computed] = {}
    whole = {name: values == 1 for name, values in switches.items() if not np.isnan(values).any()}
    made = {name: values.tobytes() for name, values in whole.items()}
    for one, other in combinations(whole, 2):
        product = whole[one] & whole[other]
        if not product.any() or (product == whole[one]).all() or (product == whole[other]).all():
            continue
        packed = product.tobytes()
        for name in (name for name, cells in made.items() if cells == packed):
            found.setdefault(name, Computed(how="product", bases=(one, other)))
    for name, values in amounts.items():
        for base, factor in amounts.items():
            if name != base and name not in switches and base not in switches and name.endswith(base[1:]):
                for switch, ones in switches.items():
                    if _equal(values, ones * factor):
                        found.setdefault(name, Computed(how="product", bases=(switch, base)))
    return found


def _indicators(amounts: Mapping[str, _Values], switches: Mapping[str, _Values]) -> dict[str, Computed]:
    """0/1 columns that say where an amount is zero, or above it."""
    found: dict[str, Computed] = {}
    for base, values in amounts.items():
        if base in switches:
            continue
        known = np.isfinite(values)
        zero = values == 0
        if not zero.any() or int(zero.sum()) == int(known.sum()):
            continue
        for name, ones in switches.items():
            both = known & np.isfinite(ones)
            is_one = ones[both] == 1
            if (is_one != zero[both]).any() and (is_one == zero[both]).any():
                continue
            # `married_income`, the product of `married` and `income`, does not define `married`.
            if not any(_equal(values, ones * other) for key, other in amounts.items() if key not in (base, name)):
                found.setdefault(name, Computed(how="indicator", bases=(base,)))
    return found


def _observed(rows: pl.DataFrame, columns: Sequence[Column], switches: Mapping[str, _Values]) -> dict[str, Computed]:
    """0/1 columns that say where another column has a value, such as `employed` where `wage` has one."""
    found: dict[str, Computed] = {}
    for column in columns:
        known = rows[column.name].is_not_null().to_numpy() if column.missing else np.ones(rows.height, bool)
        if known.all():
            continue
        for name, ones in switches.items():
            if name != column.name and ((ones == 1) == known).all():
                found.setdefault(name, Computed(how="indicator", bases=(column.name,)))
    return found
