"""Levels of a treatment: choice of the reference level, and contrasts."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message, joined
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.sample import listed

__all__ = ["Level", "Levels", "choose_reference", "floats", "folded", "treatment_levels"]

MAX_LEVELS = 50
_MAX_NUMERIC_LEVELS = 5
_NO = {
    "0", "no", "n", "false", "f", "off", "none", "never", "control", "controls", "ctrl", "placebo", "untreated",
    "not treated", "baseline", "before", "reference", "ref", "standard", "usual care", "なし", "無し", "無", "いいえ",
    "対照", "対照群", "統制", "統制群", "コントロール", "プラセボ", "偽薬", "未", "未実施", "未処置", "非", "非実施",
    "不参加", "オフ", "×", "従来", "通常", "現行",
}  # fmt: skip
_YES = {
    "1", "yes", "y", "true", "t", "on", "treated", "treatment", "treat", "intervention", "exposed", "after", "あり",
    "有り", "有", "はい", "介入", "介入群", "処置", "処置群", "治療", "実施", "実施済", "参加", "オン", "○", "◯", "新",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One contrast.

    Attributes:
        label: the levels compared, None for a single contrast.
        values: (n,) 0 for the reference and 1 for the level, or the amount; NaN if missing. None without treatment.
        rows: (n,) mask of the rows of the contrast; None for all.
        compared: the reference and the level, as texts; None for an amount, or without treatment.
    """

    label: str | None
    values: Vector | None
    rows: NDArray[np.bool_] | None
    compared: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Contrasts of a treatment column.

    Attributes:
        kind: two levels to compare, an amount, or no treatment column.
        contrasts: at least one.
        notes: choices made by rule.
    """

    kind: Literal["binary", "continuous", "none"]
    contrasts: tuple[Level, ...]
    notes: tuple[Message, ...]

    @classmethod
    def single(
        cls, values: Vector | None, *, kind: Literal["binary", "continuous", "none"], notes: tuple[Message, ...]
    ) -> Self:
        """Return a treatment with one contrast."""
        return cls(kind=kind, contrasts=(Level(label=None, values=values, rows=None),), notes=notes)


def treatment_levels(
    series: pl.Series, *, amount: bool, category: bool = False, reference: str | float | bool | None
) -> Levels:
    """Return the contrasts of a treatment column.

    Two levels of any type make one contrast. A text column, and a numeric one of up to five whole values, make one
    contrast for each level beyond the reference; any other numeric column is an amount.

    Args:
        series: the column.
        amount: treat a numeric column of more than two values as an amount, however few they are.
        category: never treat the column as an amount, however many values it has.
        reference: the reference level; chosen by `choose_reference` if None.

    Raises:
        UnusableData: fewer than two levels, or more than fifty.
        InvalidRequest: the requested reference is not a level.
    """
    distinct = series.drop_nulls().unique().sort().to_list()
    if len(distinct) < 2:
        only = Message("analysis.treatment-without-value", treatment=series.name)
        if distinct:
            only = Message("analysis.treatment-constant", treatment=series.name, level=_text(distinct[0]))
        raise UnusableData(only, field="mapping.treatment")
    is_number = series.dtype.is_numeric()
    whole = is_number and all(float(value).is_integer() for value in distinct[: _MAX_NUMERIC_LEVELS + 1])
    is_amount = amount or len(distinct) > _MAX_NUMERIC_LEVELS or not whole
    if is_number and len(distinct) > 2 and is_amount and not category:
        codes = whole and not amount and len(distinct) <= MAX_LEVELS
        cure = [Message("analysis.compare-levels")] if codes else []
        if reference is not None:
            raise InvalidRequest(
                joined([Message("analysis.amount-without-reference", treatment=series.name), *cure]),
                field="options.reference_level",
            )
        note = joined([Message("analysis.treated-as-amount", treatment=series.name), *cure])
        return Levels.single(floats(series), kind="continuous", notes=(note,))
    if len(distinct) > MAX_LEVELS:
        raise UnusableData(
            Message("analysis.treatment-levels", treatment=series.name, levels=len(distinct), most=MAX_LEVELS),
            field="mapping.treatment",
        )
    chosen, why = choose_reference(distinct, reference)
    others = [level for level in distinct if level != chosen]
    note = Message("analysis.reference-level", treatment=series.name, level=_text(chosen), reason=why)
    if is_number and len(others) > 1 and not category:
        note = joined([note, Message("analysis.map-as-dose")])
    contrasts = tuple(_contrast(series, chosen, level, alone=len(others) == 1) for level in others)
    return Levels(kind="binary", contrasts=contrasts, notes=(note, *_alike(series.name, distinct)))


def choose_reference(distinct: list[object], asked: str | float | bool | None) -> tuple[object, Message]:
    """Return the reference level and the rule that chose it.

    Args:
        distinct: the levels, sorted.
        asked: the choice of the client, if any.

    Raises:
        InvalidRequest: the choice of the client is not a level.
    """
    if asked is not None:
        for level in distinct:
            if level == asked or _text(level) == _text(asked):
                return level, Message("analysis.as-requested")
        levels = [_text(level) for level in distinct]
        raise InvalidRequest(
            Message("analysis.no-such-level", level=_text(asked), levels=listed(levels, 10)),
            field="options.reference_level",
            choices=levels,
        )
    if all(isinstance(level, int | float) for level in distinct):
        return distinct[0], Message("analysis.smallest")
    words = [folded(level) for level in distinct]
    negative = [level for level, word in zip(distinct, words, strict=True) if word in _NO]
    if len(negative) == 1:
        return negative[0], Message("analysis.word-for-none")
    positive = [level for level, word in zip(distinct, words, strict=True) if word in _YES]
    if len(distinct) == 2 and len(positive) == 1:
        return next(level for level in distinct if level != positive[0]), Message("analysis.other-word-for-treatment")
    return distinct[0], Message("analysis.first-in-order")


def _alike(name: str, levels: Sequence[object]) -> Iterator[Message]:
    """Yield a note on levels that are probably two spellings of one word; they stay separate levels."""
    spellings: dict[str, list[str]] = {}
    for level in levels:
        spellings.setdefault(folded(level), []).append(f"'{_text(level)}'")
    for same in spellings.values():
        if len(same) > 1:
            yield Message("analysis.similar-levels", treatment=name, levels=same)


def _contrast(series: pl.Series, reference: object, level: object, *, alone: bool) -> Level:
    values = floats(series == level)
    label, compared = f"{_text(level)} vs {_text(reference)}", (_text(reference), _text(level))
    if alone:
        return Level(label=None, values=values, rows=None, compared=compared)
    rows = (values == 1.0) | (floats(series == reference) == 1.0)
    return Level(label=label, values=values, rows=rows, compared=compared)


def floats(series: pl.Series) -> Vector:
    """Return a column of numbers or booleans as (n,) floats, NaN where a value is missing."""
    # Polars gives gaps as NaN; filling them before is a query, which costs more than the column of a small table.
    values: Vector = series.cast(pl.Float64).to_numpy()
    return values


def _text(level: object) -> str:
    if isinstance(level, float) and level.is_integer():
        return str(int(level))
    return str(level)


def folded(level: object) -> str:
    """Return the level as a lookup key, independent of case and width."""
    return unicodedata.normalize("NFKC", _text(level)).strip().lower()
