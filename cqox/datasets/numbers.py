"""Texts that are numbers: 1,300 and １２ and 300円 and ¥1,200 and ▲5 and (1,200) and 5% and 3万 and 1.234,5.

A column is numeric only if every cell is; one word in it, and it stays text with a note of what stood in the way. A
column of digits with leading zeros, or with more digits than a float holds, is no number but an id.
"""

import re
from dataclasses import dataclass, replace

import polars as pl

from cqox.contract.messages import Message

__all__ = [
    "LEADING_ZEROS", "MOSTLY", "SHOWN_STRAYS", "Numbers", "Reading", "almost_numbers_note", "are_in_notation",
    "are_worth_a_look", "decimal_comma_only", "may_be_numbers", "read_numbers",
]  # fmt: skip

_MAX_EXACT = 2**53
LEADING_ZEROS = Message("datasets.note-leading-zeros")
"""Why digits are codes, which goes before any other reason."""

_SAMPLE = 400
MOSTLY = 0.8
"""The least share of numbers in a column of texts that a note is about."""

SHOWN_STRAYS = 5
"""Texts that a note shows of those that are no numbers."""
_FULL_WIDTH = {chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}
_WIDTH = {
    **{mark: _FULL_WIDTH[mark] for mark in "０１２３４５６７８９．，－＋％（）＄ｅＥ"},
    "￥": "¥", "\\": "¥", "−": "-", "‐": "-", "–": "-", "▲": "-", "△": "-", "\u00a0": " ", "\u202f": " ", "\u3000": " ",
    "％": "%", "⁺": "+",
}  # fmt: skip
_SCALES = {"千": 3, "万": 4, "百万": 6, "千万": 7, "億": 8, "十億": 9, "兆": 12}
_YEN = ("¥", "円", "JPY", "jpy", "yen", "圓")
_MONEY = ("$", "€", "£", "₩", "元", "ドル", "ユーロ", "USD", "EUR", "GBP", "CNY", "KRW")
_COUNTERS = (
    "人", "名", "個", "件", "回", "歳", "才", "年", "年間", "月", "日", "日間", "週", "週間", "時間", "時", "分",
    "秒", "か月", "ヶ月",
    "ヵ月", "カ月", "ケ月", "箇月", "点", "本", "枚", "台", "店", "店舗", "社", "戸", "世帯", "冊", "杯", "着", "足",
    "匹", "頭", "羽", "校",
    "級", "位", "倍", "度", "年度", "畳", "坪", "株", "票", "泊", "階", "番", "号", "学年", "組", "班", "行", "列",
    "校時", "品", "食", "袋",
    "km", "m", "cm", "mm", "kg", "g", "mg", "ml", "mL", "dl", "cc", "ha", "㎡", "m2", "m²", "㎏", "㎝", "㎜", "㎞",
    "km/h",
    "℃", "°C", "°", "kcal", "hPa", "MB", "GB", "pt", "ポイント", "メートル", "キロ", "グラム", "リットル",
)  # fmt: skip
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d{1,3}(?: \d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+"


def _alternatives(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_PATTERN = (
    r"^(?P<open>\()?\s*(?P<sign>[-+])?\s*"
    rf"(?P<prefix>{_alternatives(('¥', 'JPY', '$', '€', '£', '₩', 'USD', 'EUR'))})?\s*(?P<inner>[-+])?"
    rf"(?P<digits>{_DIGITS})(?P<exponent>[eE][-+]?\d{{1,3}})?\s*"
    rf"(?P<scale>{_alternatives(tuple(_SCALES))})?\s*"
    rf"(?P<unit>{_alternatives(('%', *_YEN, *_MONEY, *_COUNTERS))})?\s*(?P<close>\))?$"
)
_INFINITE = r"^[-+]?\s*(?:[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|∞|無限大?)$"
_LEADING_ZERO = r"^[-+]?0\d+$"
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:[. ]\d{3})+|\d+),\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Texts read as numbers.

    Attributes:
        values: Int64 or Float64, aligned with the texts; null where the text is infinite.
        infinite: Boolean, aligned: the text says infinity or overflows to it.
        notes: what had to be understood.
    """

    values: pl.Series
    infinite: pl.Series
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The outcome of an attempt.

    Attributes:
        numbers: None where the texts are no numbers.
        is_code: digits that are a code, by leading zeros or by their length.
        note: why a column that is mostly numbers, or all digits, is none.
        is_plain: whether all texts are in the notation of programs.
    """

    numbers: Numbers | None = None
    is_code: bool = False
    note: Message | None = None
    is_plain: bool = False


def read_numbers(texts: pl.Series, *, decimal: str = ".") -> Reading:
    """The texts as numbers, if all of them are.

    Args:
        texts: distinct, stripped, without null and without tokens for missing values.
        decimal: the decimal mark of the file.
    """
    if not are_worth_a_look(texts, texts.len(), decimal):
        return Reading()
    plain = _plain(texts) if decimal == "." or not texts.str.contains(".", literal=True).any() else None
    if plain is not None:
        return replace(plain, is_plain=True)
    narrow = _narrow(texts)
    parsed, swapped = _parsed(narrow, decimal)
    good = parsed["digits"].is_not_null() | narrow.str.contains(_INFINITE)
    if not good.all():
        strays = texts.filter(~good)
        return Reading(note=almost_numbers_note(strays.sort(), strays.len(), texts.len()))
    return _numbers(texts, narrow, parsed, swapped=swapped)


def decimal_comma_only(texts: pl.Series) -> bool:
    """Return whether the texts are numbers only if the comma is their decimal mark: 1,5 and 12,25 but not 1,300."""
    if not texts.str.contains(",", literal=True).any():
        return False
    sample = texts.head(_SAMPLE).to_list()
    return (
        all(_DECIMAL_COMMA.fullmatch(text) or text.lstrip("+-").isdecimal() for text in sample)
        and not all(_THOUSANDS.fullmatch(text) or text.lstrip("+-").isdecimal() for text in sample)
        and texts.str.contains(f"^(?:{_DECIMAL_COMMA.pattern}|[-+]?\\d+)$").all()
    )


def may_be_numbers(texts: pl.Series, decimal: str) -> pl.Series:
    """Return whether each text is a number in any notation; a column with a text that is none is no column of numbers.

    Args:
        texts: stripped, without null.
        decimal: the decimal mark of the file.
    """
    narrow = _narrow(texts)
    found = texts.cast(pl.Float64, strict=False).is_not_null() | narrow.str.contains(f"{_PATTERN}|{_INFINITE}")
    return found | _swapped(narrow).str.contains(f"{_PATTERN}|{_INFINITE}") if decimal == "," else found


def are_worth_a_look(first: pl.Series, count: int, decimal: str) -> bool:
    """Return whether numbers are looked for in texts: not in many of which the first are none.

    Args:
        first: the first different texts, some hundreds at least if there are as many.
        count: how many there are.
        decimal: the decimal mark of the file.
    """
    return count > 0 and (count <= _SAMPLE or bool(may_be_numbers(first.head(_SAMPLE), decimal).any()))


def are_in_notation(texts: pl.Series, *, swapped: bool) -> pl.Series:
    """Return whether each text is a number in the notation of people, in which 1,300 is one.

    Args:
        texts: stripped, without null.
        swapped: whether a comma is the decimal mark.
    """
    narrow = _swapped(_narrow(texts)) if swapped else _narrow(texts)
    return narrow.str.contains(f"{_PATTERN}|{_INFINITE}")


def _narrow(texts: pl.Series) -> pl.Series:
    return texts.str.replace_many(list(_WIDTH), list(_WIDTH.values()))


def _swapped(narrow: pl.Series) -> pl.Series:
    return narrow.str.replace_many([",", "."], [".", ","])


def _plain(texts: pl.Series) -> Reading | None:
    """The texts as numbers in the notation of programs; None where one of them is not."""
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == 0:
        if texts.str.contains(_LEADING_ZERO).any():
            return Reading(is_code=True, note=LEADING_ZEROS)
        if _inexact(whole):
            return Reading(is_code=True, note=Message("datasets.note-long-numbers"))
        return Reading(numbers=Numbers(values=whole, infinite=_none(texts)))
    real = texts.cast(pl.Float64, strict=False)
    if real.null_count() or real.is_nan().any():
        return None
    if texts.str.contains(_LEADING_ZERO).any():
        return Reading(is_code=True, note=LEADING_ZEROS)
    digits = texts.str.contains(r"^[-+]?\d{16,}$")
    if digits.any() and _long(texts.filter(digits)):
        return Reading(is_code=True, note=Message("datasets.note-long-numbers"))
    infinite = real.is_infinite()
    return Reading(numbers=Numbers(values=_set_null(real, infinite), infinite=infinite))


def _parsed(narrow: pl.Series, decimal: str) -> tuple[pl.DataFrame, bool]:
    if decimal == ",":
        parsed = _groups(_swapped(narrow))
        if parsed["digits"].null_count() == 0:
            return parsed, True
    return _groups(narrow), False


def _groups(narrow: pl.Series) -> pl.DataFrame:
    return narrow.str.extract_groups(_PATTERN).struct.unnest()


def _numbers(texts: pl.Series, narrow: pl.Series, parsed: pl.DataFrame, *, swapped: bool) -> Reading:
    infinite = parsed["digits"].is_null()
    known = parsed.filter(~infinite)
    units = known.select(
        unit=pl.when(pl.col("prefix").is_in(_YEN) | pl.col("unit").is_in(_YEN))
        .then(pl.lit("円"))
        .otherwise(pl.coalesce("prefix", "unit"))
    )["unit"]
    kinds = set(units.drop_nulls().unique().to_list())
    unbalanced = known.select((pl.col("open").is_null() != pl.col("close").is_null()).any()).item()
    if len(kinds) > 1 or unbalanced or ("%" in kinds and units.null_count()):
        if unbalanced:
            return Reading()
        several = Message("datasets.note-different-units", units=sorted(kinds))
        return Reading(note=several if len(kinds) > 1 else Message("datasets.note-some-percentages"))
    if known["unit"].null_count() == known.height and known["digits"].str.contains(_LEADING_ZERO).any():
        return Reading(is_code=True, note=LEADING_ZEROS)
    exponent = _exponents(parsed)
    canonical = (
        _signs(parsed)
        + parsed["digits"].str.replace_all("[, ]", "")
        + exponent.replace_strict({0: ""}, default="e" + exponent.cast(pl.String))
    )
    values = canonical.cast(pl.Int64, strict=False)
    if values.null_count() > infinite.sum() or _inexact(values):
        real = canonical.cast(pl.Float64, strict=False)
        infinite = infinite | real.is_infinite().fill_null(value=False)
        values = _set_null(real, infinite)
    notes = _notes(texts, narrow, known, kinds, swapped=swapped)
    return Reading(numbers=Numbers(values=values, infinite=infinite, notes=notes))


def _exponents(parsed: pl.DataFrame) -> pl.Series:
    own = parsed["exponent"].str.slice(1).cast(pl.Int64).fill_null(0)
    scale = parsed["scale"].replace_strict(_SCALES, default=0, return_dtype=pl.Int64)
    percent = (parsed["unit"] == "%").fill_null(value=False).cast(pl.Int64)
    return own + scale - 2 * percent


def _signs(parsed: pl.DataFrame) -> pl.Series:
    minus = (
        (parsed["sign"] == "-").fill_null(value=False).cast(pl.Int8)
        + (parsed["inner"] == "-").fill_null(value=False).cast(pl.Int8)
        + parsed["open"].is_not_null().cast(pl.Int8)
    )
    return minus.replace_strict({1: "-", 3: "-"}, default="", return_dtype=pl.String)


def _notes(
    texts: pl.Series, narrow: pl.Series, known: pl.DataFrame, kinds: set[str], *, swapped: bool
) -> tuple[Message, ...]:
    notes = []
    if (texts != narrow).any() and texts.str.contains("[０-９．，－]").any():
        notes.append(Message("datasets.note-full-width-digits"))
    if known["digits"].str.contains(",", literal=True).any():
        notes.append(
            Message("datasets.note-points-of-thousands") if swapped else Message("datasets.note-commas-of-thousands")
        )
    if swapped:
        notes.append(Message("datasets.note-decimal-comma"))
    if "%" in kinds:
        notes.append(Message("datasets.note-percentages"))
    elif kinds:
        notes.append(Message("datasets.note-unit-removed", unit=next(iter(kinds))))
    if known["scale"].null_count() < known.height:
        scales = sorted(known["scale"].drop_nulls().unique().to_list())
        notes.append(Message("datasets.note-scales", scales=scales))
    if known["open"].null_count() < known.height:
        notes.append(Message("datasets.note-parentheses"))
    if texts.str.contains("[▲△]").any():
        notes.append(Message("datasets.note-triangles"))
    return tuple(notes)


def almost_numbers_note(strays: pl.Series, stray: int, count: int) -> Message | None:
    """Return the note on different texts of which all but some are numbers; None where too many are none.

    Args:
        strays: the first of those that are none, in order.
        stray: how many of them there are.
        count: different texts.
    """
    if count < 3 or (count - stray) / count < MOSTLY:
        return None
    return Message("datasets.note-almost-numbers", values=[text[:40] for text in strays.head(SHOWN_STRAYS).to_list()])


def _inexact(whole: pl.Series) -> bool:
    low, high = whole.min(), whole.max()
    return isinstance(low, int) and isinstance(high, int) and (low < -_MAX_EXACT or high > _MAX_EXACT)


def _long(texts: pl.Series) -> bool:
    whole = texts.cast(pl.Int64, strict=False)
    return whole.null_count() > 0 or _inexact(whole)


def _none(texts: pl.Series) -> pl.Series:
    return pl.Series([False]).new_from_index(0, texts.len())


def _set_null(values: pl.Series, mask: pl.Series) -> pl.Series:
    return values.to_frame("v").select(pl.when(~mask).then(pl.col("v"))).to_series()
