"""Descriptions of columns of a table in place, as an upload would have described them, from sums over its rows."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from cqox.datasets import Column, Limits, names_an_id
from cqox.datasets.table import Kind as ColumnKind
from cqox.engines.place_table import Kind, PlaceTable, unusable_dates
from cqox.engines.sql import SourceColumn

__all__ = ["described_columns", "source_column", "typed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 50
_MOST_DISTINCT = 10_001
"""Different numbers beyond which they are not counted, other than those of keys."""
_HEAD_ROWS = 100_000
"""Rows of which more different numbers than those end the count, without a pass of their own over the table."""
_LONGEST = 60
_FEWEST_REPEATS = 2
_OF_KIND = {"whole": "int64", "real": "float64", "day": "date", "moment": "datetime"}


def source_column(alias: str, kind: Kind) -> SourceColumn:
    """Return a column of the statement's table, as sums use it."""
    kinds = {"whole": "number", "real": "number", "day": "day", "moment": "day", "word": "word"}
    return SourceColumn(name=alias, kind=kinds[kind], floating=kind == "real")  # type: ignore[arg-type]


def typed(frame: pl.DataFrame, columns: Mapping[str, Column]) -> pl.DataFrame:
    """Return rows with the words of categories as such."""
    return frame.with_columns(
        pl.col(name).cast(pl.Enum(list(column.levels)))
        for name, column in columns.items()
        if column.dtype == "enum" and column.levels and name in frame.columns
    )


def described_columns(
    table: PlaceTable, rows: str, aliases: Mapping[str, str], *, exact: Sequence[str]
) -> tuple[int, dict[str, Column]]:
    """Describe columns.

    Args:
        table: the table.
        rows: what follows `from` to read them.
        aliases: name to name in it.
        exact: those whose different values are counted, however many.

    Returns:
        The number of rows, and the columns by name.
    """
    (total,) = table.engine.read(f"select count(*) from {rows}")
    found: dict[str, Column] = {}
    names = list(aliases)
    for start in range(0, len(names), _AT_ONCE):
        block = names[start : start + _AT_ONCE]
        asked = [_asked(table, aliases[name], table.kinds[name]) for name in block]
        values = iter(table.engine.read(f"select {', '.join(text for each in asked for text in each)} from {rows}"))
        many = _many(table, rows, {name: aliases[name] for name in block if name not in exact}, int(total[0]))
        for name, texts in zip(block, asked, strict=True):
            facts = [float(next(values)[0]) for _ in texts]
            distinct = _MOST_DISTINCT if name in many else None
            found[name] = _described(
                table, rows, name, aliases[name], int(total[0]), facts, exact=name in exact, distinct=distinct
            )
    return int(total[0]), found


def _asked(table: PlaceTable, alias: str, kind: Kind) -> list[str]:
    """Return the sums that describe a column: of its values, the least, the largest, their mean, and infinite ones."""
    if kind == "word":
        return [f"count({alias})", f"max(length({alias}))"]
    dialect = table.engine.dialect
    value = source_column(alias, kind).value(dialect)
    if kind == "moment":
        value = dialect.moment_number(alias)
    elif kind == "real":
        infinite = f"count(case when {table.infinite.format(alias)} then 1 end)"
        return [f"count({value})", f"min({value})", f"max({value})", f"avg({value})", infinite]
    return [f"count({alias})", f"min({value})", f"max({value})", f"avg({value})"]


def _described(
    table: PlaceTable,
    rows: str,
    name: str,
    alias: str,
    total: int,
    facts: Sequence[float],
    *,
    exact: bool,
    distinct: int | None,
) -> Column:
    kind = table.kinds[name]
    alias = _valued(table, kind, alias)
    count = int(facts[0])
    if distinct is None:
        distinct = _distinct(table, rows, alias, exact=exact or kind == "word")
    infinite = int(facts[4]) if kind == "real" else 0
    plain = Column(
        name=name, original_name=name, kind="text", dtype="string", count=count, missing=total - count,
        infinite=infinite, distinct=distinct,
    )  # fmt: skip
    if kind == "word":
        return _of_words(table, rows, alias, plain, 0 if math.isnan(facts[1]) else int(facts[1]))
    try:
        low, high = (_bound(fact, kind) for fact in facts[1:3])
    except OverflowError:
        raise unusable_dates(name) from None
    means = kind in ("whole", "real") and not math.isnan(facts[3])
    is_binary = distinct == 2 and count > 2
    levels = _levels_of_numbers(table, rows, alias, kind) if is_binary and kind in ("whole", "real") else {}
    return Column(
        name=name, original_name=name, kind=_kind(name, kind, distinct, count, low), dtype=_OF_KIND[kind],  # type: ignore[arg-type]
        count=count, missing=total - count, infinite=infinite, distinct=distinct, minimum=low, maximum=high,
        mean=facts[3] if means else None, levels=tuple(levels), level_counts=tuple(levels.values()),
    )  # fmt: skip


def _valued(table: PlaceTable, kind: Kind, alias: str) -> str:
    """Return the text of a value; of real numbers, NaN is none."""
    return source_column(alias, kind).value(table.engine.dialect) if kind == "real" else alias


def _many(table: PlaceTable, rows: str, aliases: Mapping[str, str], total: int) -> set[str]:
    """Return the columns whose first rows have more different numbers already than are counted."""
    numbers = {name: _valued(table, table.kinds[name], alias) for name, alias in aliases.items()}
    numbers = {name: text for name, text in numbers.items() if table.kinds[name] != "word"}
    if not numbers or total <= _HEAD_ROWS:
        return set()
    head = f"(select {', '.join(aliases[name] for name in numbers)} from {rows} limit {_HEAD_ROWS}) h"
    counts = table.engine.read(
        f"select {', '.join(f'count(distinct {text})' for text in numbers.values())} from {head}"
    )
    return {name for name, (count,) in zip(numbers, counts, strict=True) if count >= _MOST_DISTINCT}


def _distinct(table: PlaceTable, rows: str, alias: str, *, exact: bool) -> int:
    different = f"select distinct {alias} as v from {rows} where {alias} is not null"
    if not exact:
        different += f" limit {_MOST_DISTINCT}"
    (found,) = table.engine.read(f"select count(*) from ({different}) d")
    return int(found[0])


def _kind(name: str, kind: Kind, distinct: int, count: int, low: object) -> ColumnKind:
    if kind in ("day", "moment"):
        return "date"
    if distinct == 2 and count > 2:
        return "binary"
    if kind == "real":
        return "real"
    if distinct > 2 and names_an_id(name):
        return "id"
    return "count" if isinstance(low, int) and low >= 0 else "real"


def _of_words(table: PlaceTable, rows: str, alias: str, plain: Column, longest: int) -> Column:
    short = longest <= _LONGEST
    most = Limits().max_levels
    repeats = plain.count >= _FEWEST_REPEATS * plain.distinct or plain.distinct < min(plain.count, most + 1)
    kind: ColumnKind = "text"
    if plain.distinct == 2:
        kind = "binary"
    elif plain.count and short and names_an_id(plain.name):
        kind = "id"
    elif plain.count and short and repeats:
        kind = "category"
    levels: dict[str, int] = {}
    if kind in ("binary", "category") and plain.distinct <= most:
        text = f"select {alias}, count(*) from {rows} where {alias} is not null group by {alias}"
        levels = {str(level): int(str(number)) for level, number in table.words(text)}
    ordered = sorted(levels)
    return Column(
        name=plain.name, original_name=plain.name, kind=kind, dtype="enum" if ordered else "string", count=plain.count,
        missing=plain.missing, distinct=plain.distinct, levels=tuple(ordered),
        level_counts=tuple(levels[level] for level in ordered),
    )  # fmt: skip


def _levels_of_numbers(table: PlaceTable, rows: str, alias: str, kind: Kind) -> dict[str, int]:
    text = f"select {alias}, count(*) from {rows} where {alias} is not null group by {alias} order by {alias}"
    values, counts = table.engine.read(text)
    return {
        str(int(value) if kind == "whole" else float(value)): int(number)
        for value, number in zip(values, counts, strict=True)
    }


def _bound(value: float, kind: Kind) -> int | float | str | None:
    if math.isnan(value):
        return None
    if kind == "whole":
        return int(value)
    if kind == "day":
        return (_EPOCH + timedelta(days=round(value))).date().isoformat()
    if kind == "moment":
        return (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=None).isoformat()
    return value
