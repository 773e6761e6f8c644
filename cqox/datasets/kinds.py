"""What a typed column can be used as, and the numbers that describe it."""

import math
import re

import polars as pl

from cqox.datasets.table import Column, Kind

__all__ = ["MAX_LEVELS", "describe_column", "names_an_id"]

MAX_LEVELS = 50
_DISTINCT_BOUND = 100_000
_ID_SHARE = 0.95
_CODE_LENGTH = 64
_ID_WORDS = re.compile(
    r"(?:^|[_\s.\-])(?:id|ids|uid|uuid|guid|key|pk|index|idx|rownum|serial|sku|jan|isbn)(?:$|[_\s.\-])|[a-z](?:ID|Id)$|ＩＤ|"
    r"(?:^|[^a-z])id$|番号$|コード$|識別子|連番|^no\.?$|^№$"
)


def names_an_id(name: str) -> bool:
    """Whether a column's name says that its values tell things apart and mean nothing else."""
    return _ID_WORDS.search(name) is not None or _ID_WORDS.search(name.lower()) is not None


def describe_column(
    values: pl.Series,
    *,
    original_name: str | None,
    notes: tuple[str, ...] = (),
    max_levels: int = MAX_LEVELS,
) -> Column:
    """What is known of the column of these values; its name is the series' own."""
    known = values.drop_nulls()
    distinct = known.n_unique() if known.len() else 0
    kind = _kind(values.name, known, distinct, max_levels)
    levels = None
    if kind in ("binary", "category") and distinct <= max_levels:
        levels = tuple(_text(level) for level in known.unique().sort().to_list())
    return Column(
        name=values.name,
        original_name=original_name if original_name != values.name else None,
        kind=kind,
        missing=values.null_count(),
        distinct=distinct if distinct <= _DISTINCT_BOUND else None,
        minimum=_extreme(known.min()) if _is_ordered(known) else None,
        maximum=_extreme(known.max()) if _is_ordered(known) else None,
        mean=_mean(known),
        levels=levels,
        notes=notes,
    )


def _kind(name: str, known: pl.Series, distinct: int, max_levels: int) -> Kind:
    if known.dtype.is_temporal():
        return "date"
    if distinct == 2 or known.dtype == pl.Boolean:
        return "binary"
    if known.dtype.is_numeric():
        return _numeric_kind(name, known, distinct)
    return _text_kind(name, known, distinct, max_levels)


def _numeric_kind(name: str, known: pl.Series, distinct: int) -> Kind:
    if known.len() == 0:
        return "real"
    whole = known.dtype.is_integer() or bool((known == known.floor()).all())
    if not whole:
        return "real"
    if names_an_id(name) or _numbers_the_rows(known, distinct):
        return "id"
    return "count" if known.min() >= 0 else "real"  # type: ignore[operator]


def _numbers_the_rows(known: pl.Series, distinct: int) -> bool:
    """Whether the values are 0, 1, 2, ... or 1, 2, 3, ... in the order of the rows."""
    if distinct != known.len() or distinct < 10 or known[0] not in (0, 1):
        return False
    return bool((known.diff().drop_nulls() == 1).all())


def _text_kind(name: str, known: pl.Series, distinct: int, max_levels: int) -> Kind:
    if known.len() == 0:
        return "text"
    if names_an_id(name) and distinct > 2:
        return "id"
    repeated = distinct < known.len()
    if distinct <= max_levels and (repeated or distinct <= 2):
        return "category"
    code_like = bool((~known.str.contains(r"\s")).all()) and _longest(known) <= _CODE_LENGTH
    if distinct >= _ID_SHARE * known.len():
        has_digits = float(known.head(1000).str.contains(r"[0-9０-９]").mean() or 0.0) > 0.9  # type: ignore[arg-type]
        return "id" if code_like and has_digits else "text"
    return "category" if code_like or distinct * 5 <= known.len() else "text"


def _longest(known: pl.Series) -> int:
    longest = known.str.len_chars().max()
    return longest if isinstance(longest, int) else 0


def _is_ordered(known: pl.Series) -> bool:
    return known.dtype.is_numeric() or known.dtype.is_temporal() or known.dtype == pl.Boolean


def _extreme(value: object) -> float | str | None:
    if value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _mean(known: pl.Series) -> float | None:
    if known.len() == 0 or not (known.dtype.is_numeric() or known.dtype == pl.Boolean):
        return None
    mean = known.cast(pl.Float64).mean()
    return mean if isinstance(mean, float) and math.isfinite(mean) else None


def _text(level: object) -> str:
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, float) and level.is_integer():
        return str(int(level))
    return str(level)
