"""A column of texts becomes a column of numbers, dates, truth values or cleaned words, whole or not at all.

The cheap reading comes first: a column that polars casts as it stands costs one pass. Only the distinct texts that do
not cast are looked at further. A column is numbers only if every cell is a number or a text for a missing value; one
cell that is neither leaves all of it words, and the note says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cqox.datasets.dates import read_dates
from cqox.datasets.missing import ALWAYS, IN_NUMBERS, UNLESS_A_LEVEL, folded
from cqox.datasets.numbers import Spelled, read_numbers

__all__ = ["Cells", "infinities_to_null", "read_cells"]

_EXACT = 2**53
_FEW_ODD = 0.5
_LEADING_ZERO = r"^\s*[+-]?[0０][0-9０-９]+\s*$"
_TRUTH = {"true": True, "false": False}
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A column's values.

    Attributes:
        values: Boolean, Int64, Float64, Date, Datetime or String.
        notes: what was understood or changed.
    """

    values: pl.Series
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """The distinct odd texts that mean a missing value."""

    anywhere: frozenset[str]
    unless_level: frozenset[str]
    in_numbers: frozenset[str]


def read_cells(texts: pl.Series, *, decimal: str | None = None, na: Sequence[str] | None = None) -> Cells:
    """The column by the narrowest reading that fits every cell.

    Args:
        texts: strings; null where the cell is empty.
        decimal: the decimal mark, found by the column itself if None.
        na: the texts that mean a missing value, instead of the built-in ones.
    """
    known = texts.len() - texts.null_count()
    if known == 0:
        return Cells(values=texts.cast(pl.Float64), notes=("No cell has a value.",))
    if decimal != "," and na is None:
        plain = _plain_numbers(texts)
        if plain is not None:
            return plain
    distinct = texts.drop_nulls().unique(maintain_order=True)
    odd = distinct if decimal == "," or na is not None else distinct.filter(_cast(distinct).is_null())
    tokens = _tokens(odd, na)
    if texts.str.contains(_LEADING_ZERO).any():
        words = _words(texts, distinct, tokens)
        return Cells(values=words.values, notes=(*words.notes, "Kept as text: leading zeros would be lost."))
    return _numbers(texts, distinct, odd, tokens, decimal) or _dates(texts, distinct, tokens) or _other(
        texts, distinct, odd, tokens
    )


def infinities_to_null(values: pl.Series) -> Cells:
    """The numbers with infinite ones and NaN as missing; the note counts the infinite ones."""
    if not values.dtype.is_float():
        return Cells(values=values)
    infinite = int(values.is_infinite().sum())
    if infinite == 0 and not values.is_nan().any():
        return Cells(values=values)
    finite = pl.select(pl.when(values.is_finite()).then(values)).to_series().alias(values.name)
    notes = (f"{infinite:,} infinite values are taken as missing.",) if infinite else ()
    return Cells(values=finite, notes=notes)


def _cast(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False)


def _plain_numbers(texts: pl.Series) -> Cells | None:
    floats = _cast(texts)
    if floats.null_count() != texts.null_count():
        return None
    # An all-digit text that is no Int64 is an identifier, and a float would not keep its digits.
    if texts.str.contains(_LEADING_ZERO).any() or texts.str.contains(r"^[+-]?[0-9]{16,}$").any():
        whole = texts.cast(pl.Int64, strict=False)
        if whole.null_count() == texts.null_count() and not texts.str.contains(_LEADING_ZERO).any():
            return Cells(values=whole)
        if texts.str.contains(_LEADING_ZERO).any():
            return Cells(values=texts, notes=("Kept as text: leading zeros would be lost.",))
        return Cells(values=texts, notes=("Kept as text: whole numbers of so many digits would be rounded.",))
    nan = int(floats.is_nan().sum())
    cleaned = infinities_to_null(floats)
    notes = [*cleaned.notes, *((f"'NaN' is taken as missing in {nan:,} cells.",) if nan else ())]
    if cleaned.values.null_count() == texts.len():
        return Cells(values=cleaned.values, notes=(*notes, "No cell has a value."))
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == cleaned.values.null_count():
        return Cells(values=whole, notes=tuple(notes))
    return Cells(values=cleaned.values, notes=tuple(notes))


def _tokens(odd: pl.Series, na: Sequence[str] | None) -> _Tokens:
    short = [text for text in odd.to_list() if len(text) <= 24 or not text.strip()]
    if na is not None:
        given = {folded(token) for token in na} | {""}
        return _Tokens(
            anywhere=frozenset(text for text in short if folded(text) in given),
            unless_level=frozenset(),
            in_numbers=frozenset(),
        )
    return _Tokens(
        anywhere=frozenset(text for text in short if folded(text) in ALWAYS),
        unless_level=frozenset(text for text in short if folded(text) in UNLESS_A_LEVEL),
        in_numbers=frozenset(text for text in short if folded(text) in IN_NUMBERS),
    )


def _numbers(
    texts: pl.Series, distinct: pl.Series, odd: pl.Series, tokens: _Tokens, decimal: str | None
) -> Cells | None:
    missing = tokens.anywhere | tokens.unless_level | tokens.in_numbers
    rest = _without(odd, missing)
    mark = decimal or _decimal_mark(rest, distinct)
    if mark == "," and rest.len() < distinct.len() - len(missing):
        rest = _without(distinct, missing)
    reading = read_numbers(rest, decimal=mark)
    unread = rest.filter(reading.values.is_null())
    infinite = unread.filter(unread.str.to_lowercase().str.contains(r"^\s*[+-]?(inf|infinity|∞)\s*$"))
    if unread.len() > infinite.len() or rest.len() + distinct.len() - odd.len() == infinite.len():
        return None
    if len({unit for unit in reading.spelled.units if unit not in ("¥", "\\", "yen", "jpy")}) > 1 or (
        reading.spelled.percent and reading.spelled.units
    ):
        return None
    if reading.values.abs().max() is not None and float(reading.values.abs().max()) >= _EXACT:  # type: ignore[arg-type]
        return None
    table = {text: value for text, value in zip(rest.to_list(), reading.values.to_list(), strict=True)}
    replaced = texts.replace_strict(
        {**dict.fromkeys(missing), **table}, default=_cast(texts) if mark == "." else None, return_dtype=pl.Float64
    )
    cleaned = infinities_to_null(replaced)
    notes = [*_token_notes(texts, missing), *_spelling_notes(texts, rest, reading.values, reading.spelled, mark)]
    if infinite.len():
        count = int(texts.is_in(infinite.implode()).sum())
        notes.append(f"{count:,} infinite values are taken as missing.")
    else:
        notes += cleaned.notes
    return Cells(values=_whole(cleaned.values, texts), notes=tuple(notes))


def _whole(values: pl.Series, texts: pl.Series) -> pl.Series:
    """Int64 where no number was written with a fraction; ids and counts print without a point then."""
    fraction = texts.str.contains(r"[.．%％eEｅＥ]") & values.is_not_null()
    if fraction.any() or not (values.drop_nulls() == values.drop_nulls().floor()).all():
        return values
    largest = values.abs().max()
    return values.cast(pl.Int64) if largest is None or float(largest) < _EXACT else values  # type: ignore[arg-type]


def _decimal_mark(rest: pl.Series, distinct: pl.Series) -> str:
    """A comma where some number has other than three digits behind its only comma, and no number has a point."""
    fits = r"^\s*[+\-−△▲]?[0-9０-９]+[,，][0-9０-９]+\s*$"
    commas = rest.filter(rest.str.contains(fits))
    if commas.len() == 0 or distinct.str.contains(r"[0-9][.．][0-9]").any():
        return "."
    decimals = commas.str.contains(r"[,，](?:[0-9０-９]{1,2}|[0-9０-９]{4,})\s*$") | commas.str.contains(
        r"^\s*[+\-−△▲]?(?:[0０][,，]|[0-9０-９]{4,}[,，])"
    )
    return "," if decimals.any() else "."


def _dates(texts: pl.Series, distinct: pl.Series, tokens: _Tokens) -> Cells | None:
    missing = tokens.anywhere | tokens.unless_level | tokens.in_numbers
    rest = _without(distinct, missing)
    if rest.len() == 0 or not rest[0].strip()[:1].isalnum():
        return None
    # A look at a few is enough to leave words alone; only then is the whole column read.
    if read_dates(rest.head(20)).values.null_count() and not read_dates(rest.head(20)).refused:
        return None
    reading = read_dates(rest)
    if reading.refused:
        words = _words(texts, distinct, tokens)
        return Cells(values=words.values, notes=(*words.notes, f"Kept as text: {reading.refused}"))
    if reading.values.null_count():
        bad = rest.filter(reading.values.is_null())
        words = _words(texts, distinct, tokens)
        return Cells(
            values=words.values,
            notes=(*words.notes, f"Kept as text: not every cell is a date ({_examples(bad)})."),
        )
    lookup = pl.DataFrame({"text": rest, "date": reading.values})
    joined = texts.to_frame("text").join(lookup, on="text", how="left", maintain_order="left")
    return Cells(values=joined["date"].alias(texts.name), notes=(*_token_notes(texts, missing), *reading.notes))


def _other(texts: pl.Series, distinct: pl.Series, odd: pl.Series, tokens: _Tokens) -> Cells:
    words = _words(texts, distinct, tokens)
    left = words.values.drop_nulls().unique()
    if 0 < left.len() <= 4 and all(text.lower() in _TRUTH for text in left.to_list()):
        truth = words.values.str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
        return Cells(values=truth, notes=words.notes)
    read = distinct.len() - odd.len()
    strange = _without(odd, tokens.anywhere | tokens.unless_level | tokens.in_numbers)
    if read:
        strange = strange.filter(read_numbers(strange).values.is_null())
    if read and strange.len() <= _FEW_ODD * distinct.len():
        rows = int(texts.is_in(strange.implode()).sum())
        what = f"{rows:,} cells are no numbers ({_examples(strange)})" if strange.len() else "its units differ"
        return Cells(
            values=words.values,
            notes=(*words.notes, f"Kept as text: {what}. If they mean a missing value, name them in the option 'na'."),
        )
    return words


def _words(texts: pl.Series, distinct: pl.Series, tokens: _Tokens) -> Cells:
    """The texts without spaces around them, and with missing values for what means one among words."""
    missing = set(tokens.anywhere)
    left = _levels(distinct, missing | tokens.unless_level)
    if left >= 2 or not tokens.unless_level:
        missing |= tokens.unless_level
    notes = list(_token_notes(texts, missing))
    values = texts
    if missing:
        empty = texts.is_in(pl.Series(sorted(missing)).implode())
        values = pl.select(pl.when(~empty).then(texts)).to_series().alias(texts.name)
    stripped = values.str.strip_chars()
    if (distinct.str.strip_chars() != distinct).any():
        values = stripped
        notes.append("Spaces around the words were removed.")
    return Cells(values=values, notes=tuple(notes))


def _levels(distinct: pl.Series, missing: set[str] | frozenset[str]) -> int:
    return _without(distinct, missing).str.strip_chars().n_unique()


def _without(texts: pl.Series, some: set[str] | frozenset[str]) -> pl.Series:
    return texts.filter(~texts.is_in(pl.Series(sorted(some), dtype=pl.String).implode())) if some else texts


def _token_notes(texts: pl.Series, missing: set[str] | frozenset[str]) -> list[str]:
    met = sorted(text for text in missing if text.strip())
    if not met:
        return []
    count = int(texts.is_in(pl.Series(met).implode()).sum())
    shown = ", ".join(f"'{text}'" for text in met[:6]) + (", ..." if len(met) > 6 else "")
    return [f"{shown} {'is' if len(met) == 1 else 'are'} taken as missing in {count:,} cells."]


def _spelling_notes(
    texts: pl.Series, rest: pl.Series, values: pl.Series, spelled: Spelled, mark: str
) -> list[str]:
    if rest.len() == 0:
        return []
    notes = []
    example = next(
        (f"'{text}' is {value:g}" for text, value in zip(rest.to_list(), values.to_list(), strict=True) if value is not None), ""
    )
    understood = []
    if mark == ",":
        understood.append("a decimal comma")
    if spelled.grouped:
        understood.append("thousands separators")
    if spelled.wide:
        understood.append("full-width characters")
    if spelled.units:
        understood.append("the unit " + ", ".join(spelled.units))
    if spelled.negative:
        understood.append("signs other than a hyphen")
    if spelled.percent:
        understood.append("percentages, as fractions of 1")
    if understood and example:
        notes.append(f"Numbers with {' and '.join(understood)} were read ({example}).")
    if spelled.percent and spelled.percent < rest.len():
        notes.append("Some cells have a percent sign and some have none; only those with one were divided by 100.")
    return notes


def _examples(texts: pl.Series) -> str:
    shown = ", ".join(f"'{text[:40]}'" for text in texts.head(_SHOWN).to_list())
    return shown + (", ..." if texts.len() > _SHOWN else "")
