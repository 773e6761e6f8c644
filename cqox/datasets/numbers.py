"""Numbers as people write them, to numbers: "1,300", "１２", "¥1,200", "300円", "5%", "△3", "(42)", "1.234,5".

Works on a few distinct texts at a time or on whole columns; anything that is not plainly a number gives null.
"""

from dataclasses import dataclass

import polars as pl

__all__ = ["Reading", "Spelled", "read_numbers"]

_UNITS = (
    "円|人|名|個|件|歳|才|回|点|台|本|枚|冊|店|店舗|世帯|社|校|戸|棟|頭|匹|杯|箱|袋|食|泊|便|票|組|席|口|日|日間|週|週間|ヶ月|か月|"
    "カ月|ケ月|箇月|ヵ月|年|年間|時間|分|秒|度|位|倍|坪|畳|階|駅|kg|g|mg|t|トン|グラム|キロ|キログラム|km|m|cm|mm|メートル|"
    "km2|m2|㎡|ha|l|ml|dl|リットル|ドル|ユーロ|ウォン|元|usd|eur|jpy|gbp|yen|mmhg|bpm|kcal|kwh|kw|w|℃|°c|ポイント|pt|pts"
)
_SIGN = r"[+\-−‐–△▲▼]?"
_CURRENCY = r"(?:[¥$€£₩]|\\|us\$|jpy|usd|eur|gbp)?"
# Digits in groups of three, or without groups; at most one decimal mark; an exponent.
_BODY = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:e[+\-]?[0-9]{1,3})?"
_NUMBER = rf"^(\()?\s*({_SIGN})\s*({_CURRENCY})\s*({_SIGN})({_BODY})\s*(%|{_UNITS})?\s*(\))?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """What was met beside digits: a few examples of each, as written.

    Attributes:
        units: the units and currency marks met.
        percent: how many texts were percentages.
        grouped: how many had thousands separators.
        wide: how many had full-width characters.
        negative: how many had a sign other than a hyphen: △, ▲, a minus sign, parentheses.
    """

    units: tuple[str, ...] = ()
    percent: int = 0
    grouped: int = 0
    wide: int = 0
    negative: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Texts, read as numbers.

    Attributes:
        values: Float64, null where the text is no number.
        spelled: what was understood.
    """

    values: pl.Series
    spelled: Spelled


def read_numbers(texts: pl.Series, *, decimal: str = ".") -> Reading:
    """The texts as numbers, with what was understood on the way; "5%" is 0.05.

    Args:
        texts: strings.
        decimal: the decimal mark; the other one of point and comma separates thousands.
    """
    plain = texts.str.normalize("NFKC").str.strip_chars().str.to_lowercase()
    marked = plain
    if decimal == ",":
        marked = marked.str.replace_all(".", "\x00", literal=True).str.replace_all(",", ".", literal=True)
        marked = marked.str.replace_all("\x00", ",", literal=True)
    parts = marked.to_frame("text").select(
        pl.col("text").str.extract(_NUMBER, group).alias(name)
        for group, name in enumerate(("open", "sign", "currency", "inner", "body", "unit", "close"), start=1)
    )
    body = parts["body"].str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
    signs = (parts["sign"].fill_null("") != "").cast(pl.Int8) + (parts["inner"].fill_null("") != "").cast(pl.Int8)
    brackets = parts["open"].is_not_null().cast(pl.Int8) + parts["close"].is_not_null().cast(pl.Int8)
    both = (parts["currency"].fill_null("") != "") & parts["unit"].is_not_null()
    valid = body.is_not_null() & body.is_finite() & (signs + (brackets == 2).cast(pl.Int8) <= 1) & (brackets != 1) & ~both
    sign = parts["sign"].fill_null("") + parts["inner"].fill_null("")
    minus = sign.str.contains(r"^[\-−‐–△▲▼]$") | (brackets == 2)
    percent = parts["unit"].fill_null("") == "%"
    scaled = pl.select(pl.when(percent).then(body / 100).otherwise(body)).to_series()
    signed = pl.select(pl.when(minus).then(-scaled).otherwise(scaled)).to_series()
    values = pl.select(pl.when(valid).then(signed)).to_series().alias(texts.name)
    return Reading(values=values, spelled=_spelled(texts, plain, parts, sign, percent, valid))


def _spelled(
    texts: pl.Series, plain: pl.Series, parts: pl.DataFrame, sign: pl.Series, percent: pl.Series, valid: pl.Series
) -> Spelled:
    units = pl.concat([parts["unit"].alias("u"), parts["currency"].alias("u")]).filter(pl.concat([valid, valid]))
    found = units.drop_nulls().unique().sort().to_list()
    odd = sign.is_in(["△", "▲", "▼", "−", "‐", "–"]) | parts["open"].is_not_null()
    return Spelled(
        units=tuple(unit for unit in found if unit not in ("", "%")),
        percent=int((percent & valid).sum()),
        grouped=int((parts["body"].str.contains(",", literal=True) & valid).sum()),
        wide=int(((texts.str.strip_chars().str.to_lowercase() != plain) & valid).sum()),
        negative=int((odd & valid).sum()),
    )
