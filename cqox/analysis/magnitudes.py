"""Columns whose numbers cannot be computed with: infinite ones, and those beyond what fourth powers can hold."""

from collections.abc import Mapping, Sequence

from cqox.analysis.mapping import names_in
from cqox.contract import ROLES, RoleMapping
from cqox.contract.messages import Message
from cqox.datasets import Column
from cqox.errors import UnusableData

__all__ = ["is_extreme", "refuse_extreme", "refuse_infinite"]

_LARGEST, _SMALLEST = 1e75, 1e-75
"""Magnitudes beyond which fourth powers, which errors and diagnostics need, overflow or underflow."""

_NAMES_ONLY = ("unit_id", "cluster", "fixed_effects", "edges")
"""Roles whose values are only compared."""


def refuse_infinite(columns: Mapping[str, Column], names: Sequence[str]) -> None:
    """Refuse columns with infinite values.

    Raises:
        UnusableData: one of these columns has some.
    """
    for name in names:
        rows = columns[name].infinite
        if rows:
            raise UnusableData(
                Message("analysis.infinite-values", column=name, rows=rows),
                field="mapping",
            )


def refuse_extreme(columns: Mapping[str, Column], roles: RoleMapping) -> None:
    """Refuse mapped columns whose numbers are too large or too small to be computed with.

    Raises:
        UnusableData: one has such numbers, and its role uses them.
    """
    for role, mapped in roles.items():
        if ROLES[role].arity == "scalar" or role in _NAMES_ONLY:
            continue
        for name in names_in(mapped):
            if not is_extreme(columns[name]):
                continue
            raise UnusableData(_out_of_range(name, _size(columns[name])), field=f"mapping.{role}")


def _out_of_range(column: str, size: float) -> Message:
    if size > _LARGEST:
        return Message("analysis.too-large", column=column, size=size, smallest=_SMALLEST, largest=_LARGEST)
    return Message("analysis.too-small", column=column, size=size, smallest=_SMALLEST, largest=_LARGEST)


def is_extreme(column: Column) -> bool:
    """Return whether the largest absolute value of a column is beyond what fourth powers can be computed of."""
    return _size(column) > _LARGEST or 0 < _size(column) < _SMALLEST


def _size(column: Column) -> float:
    """Return the largest absolute value in the column; 0 if it has no numbers."""
    ends = [end for end in (column.minimum, column.maximum) if isinstance(end, int | float)]
    return float(max((abs(end) for end in ends), default=0))
