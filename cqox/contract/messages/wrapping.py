"""Display width of texts, and their division into lines: by words, and between the letters of Chinese and Japanese."""

import re
import unicodedata

__all__ = ["width", "wrap", "wrap_evenly"]

_NOT_FIRST = "、。，．・：；？！）〕］｝〉》」』】％…ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々〜～,.:;?!)]}%’”"
"""Letters that no line begins with."""

_NOT_LAST = "（〔［｛〈《「『【([{‘“"
"""Letters that no line ends with."""


_LEAST_OF_LAST = 0.4
"""Part of the width below which a last line is short."""


def width(text: str) -> int:
    """Return the display width of the text in Latin letters; full-width characters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def wrap(text: str, most: int) -> list[str]:
    """Return the lines of a text, each at most `most` wide, in Latin letters.

    A line ends at a space or next to a full-width character, but no line begins with closing punctuation or ends with
    an opening bracket. What has no such place is not divided, so that a line may be longer.
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and width((line + piece).rstrip()) > most:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]


def wrap_evenly(text: str, most: int) -> list[str]:
    """Return the lines of a text as `wrap` does; where the last would be short, as many lines of about one width."""
    lines = wrap(text, most)
    if len(lines) < 2 or width(lines[-1]) >= most * _LEAST_OF_LAST:
        return lines
    narrowest = -(-width(text) // len(lines))
    for less in range(narrowest, most):
        evenly = wrap(text, less)
        if len(evenly) == len(lines):
            return evenly
    return lines


def _pieces(text: str) -> list[str]:
    """Divide the text wherever a line may end."""
    pieces: list[str] = []
    for piece in re.findall(r"\s+|[^\s]", text):
        if pieces and _together(pieces[-1][-1], piece[0]):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def _together(last: str, first: str) -> bool:
    if last.isspace() or first.isspace():
        return first.isspace()
    return first in _NOT_FIRST or last in _NOT_LAST or (width(last) == 1 and width(first) == 1)
