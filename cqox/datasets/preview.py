"""The first rows of a table as JSON values."""

import math

from cqox.datasets.table import Table

__all__ = ["preview"]


def preview(table: Table, rows: int = 20) -> list[dict[str, object]]:
    """The first rows, one object each; a missing value is null, a date is ISO text, NaN and infinity do not occur."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.frame.head(rows).to_dicts()]


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
