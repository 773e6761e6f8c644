"""Texts that mean that a value is missing.

Three tiers, because the same word is missing in one column and a level in another:

- always: what programs write for a missing value (NA, NULL, #N/A, 欠損, ...);
- marks: a lone dash, dot or question mark, unless it is a level: with a plus sign or one word in the column (○ and -);
- words (なし, 不明, None, ...): only where everything else in the column is a number or a date. Among other words they
  are levels, as なし is in a column with あり.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from cqox.contract.messages import Message

__all__ = [
    "ALWAYS_MISSING", "LONGEST_TOKEN", "MARKS", "PLUS_SIGNS", "WORDS_AMONG_NUMBERS", "Tokens", "deciding_texts",
    "marks_are_missing", "missing_note", "tokens_for", "without",
]  # fmt: skip

ALWAYS_MISSING = (
    "na", "n/a", "n.a.", "<na>", "nan", "null", "#n/a", "#na", "#null!", "#div/0!", "#value!", "#ref!", "#name?",
    "#num!", "\\n",
    "欠損", "欠損値", "欠測", "欠測値", "欠側", "データなし", "データ無し",
)  # fmt: skip
"""Words that programs write for a missing value, in lower case; any case of them is missing."""
MARKS = (
    "-", "--", "---", "‐", "‑", "–", "—", "―", "−", "ー", "－", "ｰ", "?", "？", ".", "．", "…", "...", "……", "・",
    "***", "**",
)  # fmt: skip
"""Marks that are missing unless they are levels, see `marks_are_missing`."""
WORDS_AMONG_NUMBERS = (
    "none", "なし", "無し", "無", "不明", "未回答", "無回答", "回答なし", "該当なし", "対象外", "未記入", "未入力",
    "未定",
    "未計測", "測定不能", "秘匿", "x", "ｘ", "missing", "unknown", "not available", "no data", "*", "＊", "nil", "/",
    "／",
)  # fmt: skip
"""Words, in lower case, that are missing in any case where everything else is a number or a date."""
PLUS_SIGNS = ("+", "＋", "++", "±")
"""Texts next to which a mark is a level."""

LONGEST_TOKEN = max(len(word) for word in (*ALWAYS_MISSING, *MARKS, *WORDS_AMONG_NUMBERS, *PLUS_SIGNS))
"""Characters of the longest text that may be a token: no text has fewer of them in lower case."""

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The distinct texts of one column that mean missing.

    Attributes:
        always: missing whatever the column holds.
        among_numbers: missing as well if everything else is a number or a date.
    """

    always: tuple[str, ...]
    among_numbers: tuple[str, ...]


def tokens_for(distinct: pl.Series, given: Sequence[str] | None) -> Tokens:
    """The tokens among the distinct texts of a column.

    Args:
        distinct: stripped texts without null.
        given: the client's tokens, which replace the built-in ones.
    """
    if given is not None:
        asked = [token.strip() for token in given]
        return Tokens(always=_among(distinct, asked), among_numbers=())
    short = _short(distinct)
    folded = short.str.to_lowercase()
    marks = _among(short, MARKS) if marks_are_missing(distinct) else ()
    return Tokens(
        always=(*short.filter(folded.is_in(ALWAYS_MISSING)).to_list(), *marks),
        among_numbers=tuple(short.filter(folded.is_in(WORDS_AMONG_NUMBERS)).to_list()),
    )


def deciding_texts(texts: pl.Series, given: Sequence[str] | None) -> pl.Series:
    """Return those texts that `tokens_for` gives back, or that decide what it gives back for longer ones.

    Args:
        texts: stripped texts.
        given: the client's tokens.
    """
    if given is not None:
        return texts.filter(texts.is_in([token.strip() for token in given]))
    short = _short(texts)
    words = short.str.to_lowercase().is_in([*ALWAYS_MISSING, *WORDS_AMONG_NUMBERS])
    return short.filter(words | short.is_in([*MARKS, *PLUS_SIGNS]))


def marks_are_missing(distinct: pl.Series) -> bool:
    """Return whether a lone mark in a column is missing there; it is a level next to a plus sign or to one word.

    Args:
        distinct: stripped texts without null.
    """
    short = _short(distinct)
    if short.is_in(PLUS_SIGNS).any():
        return False
    marks = _among(short, MARKS)
    return len(marks) != 1 or not _is_one_word(distinct, marks)


def without(texts: pl.Series, tokens: Sequence[str]) -> pl.Series:
    """Return texts with null in place of some tokens."""
    if not tokens:
        return texts
    frame = texts.to_frame("t").select(pl.when(~pl.col("t").is_in(list(tokens))).then(pl.col("t")))
    return frame.to_series().alias(texts.name)


def missing_note(tokens: Sequence[str], rows_with: Callable[[str], int]) -> Message:
    """Return the note that tokens were read as missing values.

    Args:
        tokens: the tokens, at least one.
        rows_with: returns how many rows have a token.
    """
    shown = [Message("datasets.token-count", count=rows_with(token), token=token) for token in sorted(tokens)[:_SHOWN]]
    more = len(tokens) - _SHOWN
    if more > 0:
        return Message("datasets.note-read-as-missing-and-more", more=more, tokens=shown)
    return Message("datasets.note-read-as-missing", tokens=shown)


def _short(distinct: pl.Series) -> pl.Series:
    """Return the texts that are short enough to be a token."""
    return distinct.filter(distinct.str.len_chars() <= LONGEST_TOKEN)


def _is_one_word(distinct: pl.Series, marks: Sequence[str]) -> bool:
    if distinct.len() - _short(distinct).len() > 1:
        return False
    rest = distinct.filter(~distinct.str.to_lowercase().is_in(ALWAYS_MISSING) & ~distinct.is_in(list(marks)))
    return rest.len() == 1 and not rest.str.contains("[0-9０-９]").any()


def _among(distinct: pl.Series, tokens: Sequence[str]) -> tuple[str, ...]:
    return tuple(distinct.filter(distinct.is_in(list(tokens))).to_list())
