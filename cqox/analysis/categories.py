"""Numeric columns that are category codes: declared by `options.categorical`, or suspected and reported.

A code (a region from 1 to 8, a class of diseases) has the type of an amount. A suspected code is never changed: a note
reports it, and the client declares it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.analysis.mapping import BY_LEVELS, categorical_columns, columns_of, names_in
from cqox.analysis.roles import ColumnInfo, Columns, Rows
from cqox.contract import RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import names_codes
from cqox.estimators.sample import listed

__all__ = ["with_categories"]

_ADJUSTED = ("covariates", "propensity_covariates")
_FEWEST = 3
"""Number of levels below which it makes no difference to an estimate whether they are codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """A column declared as categorical."""

    name: str
    original_name: str
    count: int
    kind: Literal["category"] = "category"


def with_categories(
    frame: Rows, columns: Columns, roles: RoleMapping, asked: Sequence[str] | None, notes: list[Message]
) -> Columns:
    """Return the column descriptions, with declared columns of the kind `category`.

    Args:
        frame: the mapped columns.
        columns: description of every column of the table, by name.
        roles: canonical role to mapped columns or value.
        asked: `options.categorical`, names of columns or their headers in the file.
        notes: receives a note on the declared columns, used or not, and on covariates that look like undeclared codes.

    Raises:
        InvalidRequest: a name without a column, or the column of a role that takes only amounts.
    """
    headers = {name: info.original_name for name, info in columns.items()} if asked else {}
    names = categorical_columns(asked or (), roles, headers)
    playing = columns_of(roles)
    by_levels = {name for role in BY_LEVELS for name in names_in(roles.get(role, ()))}
    used = [name for name in names if name in by_levels]
    idle = [name for name in names if name not in playing]
    if used:
        notes.append(Message("analysis.categorical", columns=listed(used), number=len(used)))
    if idle:
        notes.append(Message("analysis.categorical-without-role", columns=listed(idle)))
    found = {
        name: _Declared(name=name, original_name=columns[name].original_name, count=columns[name].count)
        for name in used
    }
    notes += _suspected(frame, roles, found)
    return {**columns, **found}


def _suspected(frame: Rows, roles: RoleMapping, declared: Mapping[str, ColumnInfo]) -> list[Message]:
    """Yield a note on covariates that look like codes: whole numbers, each twice on average, with a suggestive name."""
    adjusted = dict.fromkeys(name for role in _ADJUSTED for name in names_in(roles.get(role, ())))
    suspected = [name for name in adjusted if name not in declared and names_codes(name) and _repeats(frame, name)]
    if not suspected:
        return []
    return [Message("analysis.suspected-codes", columns=[f'"{name}"' for name in suspected])]


def _repeats(frame: Rows, name: str) -> bool:
    series = frame[name]
    return series.dtype.is_integer() and _FEWEST <= series.drop_nulls().n_unique() <= series.count() / 2
