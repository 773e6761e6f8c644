"""Numbers that are codes: columns declared so by `options.categorical`, and those that look so and were not declared.

A code (a region from 1 to 8, a class of diseases) is taken for an amount by its type alone. Nothing is changed for what
a column looks like: it is said, and the client declares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.analysis.mapping import BY_LEVELS, categorical_columns, columns_of, names_in
from cqox.analysis.roles import ColumnInfo, Columns, Rows
from cqox.contract import RoleMapping
from cqox.datasets import names_codes
from cqox.estimators.sample import listed

__all__ = ["with_categories"]

_ADJUSTED = ("covariates", "propensity_covariates")
_FEWEST = 3
"""Levels below which it makes no difference to an estimate whether they are codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """A column whose values are codes of categories."""

    name: str
    original_name: str
    kind: Literal["category"] = "category"


def with_categories(
    frame: Rows, columns: Columns, roles: RoleMapping, asked: Sequence[str] | None, notes: list[str]
) -> Columns:
    """What is known of the columns, those that were declared categories of the kind `category`.

    Args:
        frame: the mapped columns.
        columns: what is known of every column of the table, by name.
        roles: canonical role to what plays it.
        asked: `options.categorical`, the names of columns or their headers as the file has them.
        notes: told what was declared, to no use too, and which covariates look like codes and were not.

    Raises:
        InvalidRequest: a name that no column has, or the column of a role that takes amounts alone.
    """
    headers = {name: info.original_name for name, info in columns.items()} if asked else {}
    names = categorical_columns(asked or (), roles, headers)
    playing = columns_of(roles)
    by_levels = {name for role in BY_LEVELS for name in names_in(roles.get(role, ()))}
    used = [name for name in names if name in by_levels]
    idle = [name for name in names if name not in playing]
    if used:
        enter = (
            "enters by its levels and not as an amount" if len(used) == 1 else "enter by their levels, not as amounts"
        )
        notes.append(f"As asked by options.categorical, {listed(used)} {enter}.")
    if idle:
        notes.append(f"options.categorical names columns that play no role, to no effect: {listed(idle)}.")
    found = {name: _Declared(name=name, original_name=columns[name].original_name) for name in used}
    notes += _suspected(frame, roles, found)
    return {**columns, **found}


def _suspected(frame: Rows, roles: RoleMapping, declared: Mapping[str, ColumnInfo]) -> list[str]:
    """A note on the covariates that look like codes: whole numbers, each twice on average, and a name that says so."""
    adjusted = dict.fromkeys(name for role in _ADJUSTED for name in names_in(roles.get(role, ())))
    suspected = [name for name in adjusted if name not in declared and names_codes(name) and _repeats(frame, name)]
    if not suspected:
        return []
    names = ", ".join(f'"{name}"' for name in suspected)
    return [
        "By name and whole numbers, these covariates look like codes of categories, and they enter as amounts: "
        f"[{names}]. Put those that are codes into options.categorical."
    ]


def _repeats(frame: Rows, name: str) -> bool:
    series = frame[name]
    return series.dtype.is_integer() and _FEWEST <= series.drop_nulls().n_unique() <= series.count() / 2
