"""Conversion of columns by role: numbers, codes, a design matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
import polars as pl

from cqox.analysis.levels import MAX_LEVELS, choose_reference, floats
from cqox.contract import RoleMapping
from cqox.contract.messages import Message, joined
from cqox.datasets import ColumnsOnDisk
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.array_store import empty
from cqox.estimators.sample import listed

__all__ = [
    "ColumnInfo",
    "Columns",
    "Covariates",
    "Periods",
    "Rows",
    "binary",
    "covariate_matrix",
    "group_codes",
    "is_category",
    "level_names",
    "numeric",
    "period_codes",
    "probability",
]


_MICROSECONDS_OF_A_DAY = 86_400e6

_MOST_NAMES = 5_000
_MOST_LEVELS_SHOWN = 5
_FEW_STRAYS = 0.1
"""Share of a column's cells up to which the non-numeric ones are listed."""


class ColumnInfo(Protocol):
    """The fields of a column description that determine its use; `count` is the number of cells with a value."""

    @property
    def name(self) -> str: ...

    @property
    def original_name(self) -> str: ...

    @property
    def kind(self) -> Literal["binary", "count", "real", "category", "date", "text", "id"]: ...

    @property
    def count(self) -> int: ...


type Rows = pl.DataFrame | ColumnsOnDisk
"""The mapped columns: in memory, or read one at a time."""

type Columns = Mapping[str, ColumnInfo]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariates:
    """Columns as a design matrix.

    Attributes:
        matrix: (n, k), NaN for missing values.
        labels: one for each column of the matrix.
        absorbed: columns with too many levels for a matrix, to be absorbed as fixed effects.
    """

    matrix: Matrix
    labels: tuple[str, ...]
    absorbed: tuple[pl.Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """A time column.

    Attributes:
        codes: (n,) periods numbered in order, -1 if missing.
        values: (periods,) their values on a numeric scale; days since 1970 for dates.
        labels: display label of each period, None if that is its number.
    """

    codes: Codes
    values: Vector
    labels: tuple[str, ...] | None


def numeric(series: pl.Series, *, role: str) -> Vector:
    """Return the column as numbers.

    Raises:
        InvalidRequest: it contains words.
    """
    if series.dtype == pl.Boolean or series.dtype.is_numeric():
        return floats(series)
    if series.dtype.is_temporal():
        microseconds = series.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64)
        return floats(microseconds / _MICROSECONDS_OF_A_DAY)
    examples = [str(value) for value in series.drop_nulls().unique().sort().head(3).to_list()]
    words = Message("analysis.role-not-words", column=series.name, role=role, examples=examples)
    raise InvalidRequest(joined([words, *_stray_words(series)]), field=f"mapping.{role}")


def _stray_words(series: pl.Series) -> list[Message]:
    """Return a sentence on the few cells that are not numbers in a column of numbers."""
    if series.dtype != pl.String:
        return []
    filled = series.drop_nulls()
    strays = filled.filter(filled.cast(pl.Float64, strict=False).is_null())
    if not 0 < len(strays) <= _FEW_STRAYS * len(filled):
        return []
    words = listed([f"'{word}'" for word in strays.unique(maintain_order=True).to_list()], 6)
    return [Message("analysis.stray-words", numbers=len(filled) - len(strays), values=len(filled), words=words)]


def binary(series: pl.Series, *, role: str, notes: list[Message]) -> Vector:
    """Return the column as 0 and 1; of two words, the one that means no is 0.

    Raises:
        InvalidRequest: more than two values.
        UnusableData: fewer than two values.
    """
    distinct = series.drop_nulls().unique().sort().to_list()
    if len(distinct) > 2:
        raise InvalidRequest(
            joined([_many_levels(series.name, role, distinct), *_stray_words(series)]), field=f"mapping.{role}"
        )
    if len(distinct) < 2:
        raise UnusableData(
            Message("analysis.too-few-values", column=series.name, role=role, values=len(distinct)),
            field=f"mapping.{role}",
        )
    reference, why = choose_reference(distinct, None)
    one = next(level for level in distinct if level != reference)
    if not set(distinct) <= {0, 1}:
        notes.append(
            Message("analysis.counts-as", role=role, column=series.name, zero=str(reference), one=str(one), reason=why)
        )
    return floats(series == one)


def _many_levels(column: str, role: str, levels: Sequence[object]) -> Message:
    shown, number = [str(level) for level in levels[:_MOST_LEVELS_SHOWN]], len(levels)
    if number > _MOST_LEVELS_SHOWN:
        return Message("analysis.role-not-many-levels-and-more", column=column, role=role, number=number, levels=shown)
    return Message("analysis.role-not-many-levels", column=column, role=role, number=number, levels=shown)


def group_codes(series: pl.Series) -> Codes:
    """Return the column's levels as codes in sorted order, -1 if missing."""
    levels = series.drop_nulls().unique().sort()
    joined = (
        series.to_frame("level")
        .with_row_index("row")
        .join(levels.to_frame("level").with_row_index("code"), on="level", how="left", maintain_order="left")
    )
    return joined["code"].cast(pl.Int64).fill_null(-1).to_numpy()


def level_names(series: pl.Series, codes: Codes) -> tuple[str, ...] | None:
    """Return the levels behind codes of `group_codes`, as text; None if there are too many to display."""
    if codes.max(initial=-1) >= _MOST_NAMES:
        return None
    return tuple(str(level) for level in series.drop_nulls().unique().sort())


def period_codes(series: pl.Series) -> Periods:
    """Return the column's values as ordered periods; words are sorted as text and numbered 0, 1, ..."""
    codes = group_codes(series)
    levels = series.drop_nulls().unique().sort()
    if levels.dtype.is_numeric() or levels.dtype == pl.Boolean:
        return Periods(codes=codes, values=numeric(levels, role="time"), labels=None)
    labels = tuple(str(level) for level in levels)
    values = numeric(levels, role="time") if levels.dtype.is_temporal() else np.arange(levels.len(), dtype=np.float64)
    return Periods(codes=codes, values=values, labels=labels)


def probability(frame: Rows, roles: RoleMapping) -> Vector | None:
    """Return the known probability of treatment, from `pscore` or `log_propensity`; None if neither is mapped.

    Raises:
        InvalidRequest: values outside (0, 1), or above 0 for a logarithm.
    """
    if "log_propensity" in roles:
        name = str(roles["log_propensity"])
        logs = numeric(frame[name], role="log_propensity")
        wrong = int(np.sum(logs > 0))
        if wrong:
            raise InvalidRequest(
                Message("analysis.log-above-zero", column=name, values=wrong),
                field="mapping.log_propensity",
            )
        return np.exp(logs)
    if "pscore" not in roles:
        return None
    name = str(roles["pscore"])
    scores = numeric(frame[name], role="pscore")
    logged = "action" in roles  # a deterministic logging policy takes its action with probability 1
    wrong = int(np.sum((scores <= 0) | ((scores > 1) if logged else (scores >= 1))))
    if wrong:
        outside = Message("analysis.treatment-probability", column=name, values=wrong)
        if logged:
            outside = Message("analysis.logged-probability", column=name, values=wrong)
        raise InvalidRequest(outside, field="mapping.pscore")
    return scores


def covariate_matrix(
    frame: Rows, columns: Columns, names: Sequence[str], *, role: str, notes: list[Message]
) -> Covariates:
    """Return the columns as a design matrix: numbers, dates as days, words as dummies.

    Numbers and dates of the kind `category` are codes, and enter as words do, with levels in their own order.

    Raises:
        InvalidRequest: a column of free text, or of an id that differs in almost every row.
    """
    makers: list[Callable[[], Vector]] = []
    labels: list[str] = []
    absorbed: list[pl.Series] = []
    for name in names:
        series = frame[name]
        is_amount = series.dtype.is_numeric() or series.dtype == pl.Boolean or series.dtype.is_temporal()
        if is_amount and not is_category(columns, name):
            makers.append(partial(_numbers, frame, name, role))
            labels.append(name)
            if series.dtype.is_temporal():
                notes.append(Message("analysis.date-in-days", column=name))
        else:
            _add_levels(frame, series, role, makers, labels, absorbed, notes)
    matrix = empty(len(makers), frame.height)
    for row, make in zip(matrix, makers, strict=True):
        row[:] = make()
    return Covariates(matrix=matrix.T, labels=tuple(labels), absorbed=tuple(absorbed))


def is_category(columns: Columns, name: str) -> bool:
    """Return whether a column is categorical: words that repeat, or values declared as codes."""
    info = columns.get(name)
    return info is not None and info.kind == "category"


def _numbers(frame: Rows, name: str, role: str) -> Vector:
    return numeric(frame[name], role=role)


def _indicator(frame: Rows, name: str, level: object) -> Vector:
    """Return 1 for rows at the level, NaN for missing values."""
    return floats(frame[name] == level)


def _add_levels(
    frame: Rows,
    series: pl.Series,
    role: str,
    makers: list[Callable[[], Vector]],
    labels: list[str],
    absorbed: list[pl.Series],
    notes: list[Message],
) -> None:
    levels = series.drop_nulls().unique().sort().to_list()
    if len(levels) > MAX_LEVELS:
        known = series.len() - series.null_count()
        # Values that differ in most rows are identifiers or free text rather than categories.
        if role != "covariates" or len(levels) > known / 2:
            what = Message("analysis.words") if series.dtype in (pl.String, pl.Enum) else Message("analysis.levels")
            raise InvalidRequest(
                Message(
                    "analysis.too-many-levels",
                    column=series.name, number=len(levels), values=what, rows=known, role=role, most=MAX_LEVELS,
                ),
                field=f"mapping.{role}",
            )  # fmt: skip
        absorbed.append(series)
        notes.append(Message("analysis.absorbed", covariate=series.name, levels=len(levels), most=MAX_LEVELS))
        return
    for level in levels[1:]:
        makers.append(partial(_indicator, frame, series.name, level))
        labels.append(f"{series.name}={level}")
