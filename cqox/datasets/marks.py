"""Marks that mean yes where the only other cells are empty: ○, ✓ or x."""

import unicodedata

__all__ = ["is_mark"]

_MARKS = frozenset({
    "○", "◯", "〇", "●", "◎", "o", "x", "✓", "✔", "☑", "レ", "*", "★", "y", "yes", "true", "はい", "有", "有り", "あり",
    "済", "済み", "該当", "対象", "実施",
})  # fmt: skip
"""Words and marks that mean yes where the only other cells are empty."""


def is_mark(text: str) -> bool:
    """Return whether a text is a mark for yes, in any width and case."""
    return unicodedata.normalize("NFKC", text).casefold() in _MARKS
