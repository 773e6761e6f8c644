"""Room that texts take on a slide, where no program lays them out before somebody looks."""

from collections.abc import Sequence

from cqox.contract.messages import wrap

__all__ = ["BETWEEN", "cut", "fitting_size", "height_of", "lines_of"]

_LETTER = 0.5
"""Width of a Latin letter as a part of the size of its font; a full-width one is twice as wide."""

_LEADING = 1.2
BETWEEN = 3.0
"""Points below a paragraph."""

_POINTS_TO_THE_INCH = 72


def lines_of(text: str, size: float, width: float) -> list[str]:
    """Return the lines that a text of a size in points takes in a width in inches."""
    most = _letters(size, width)
    return [piece for line in wrap(text, most) for piece in _pieces(line, most)] or [""]


def height_of(texts: Sequence[tuple[str, float]], width: float) -> float:
    """Return the height in inches of paragraphs, each with its size in points, in a width in inches."""
    points = (len(lines_of(text, size, width)) * size * _LEADING + BETWEEN for text, size in texts)
    return sum(points) / _POINTS_TO_THE_INCH


def fitting_size(text: str, sizes: Sequence[float], width: float, height: float) -> float:
    """Return the first of the sizes in points at which a text fits into a box in inches; the last if none does."""
    return next((size for size in sizes if height_of([(text, size)], width) <= height), sizes[-1])


def cut(text: str, size: float, width: float, height: float) -> str:
    """Return as much of a text as fits into a box, with an ellipsis if that is not all."""
    most = max(int(height * _POINTS_TO_THE_INCH / (size * _LEADING)), 1)
    lines = lines_of(text, size, width)
    if len(lines) <= most:
        return text
    end = 0
    for line in lines[:most]:
        end = text.index(line, end) + len(line)
    return f"{text[: max(end - 2, 0)].rstrip()}…"


def _letters(size: float, width: float) -> int:
    return max(int(width * _POINTS_TO_THE_INCH / (_LETTER * size)), 2)


def _pieces(line: str, most: int) -> list[str]:
    """Divide a line of one word that is longer than the box, as every program does."""
    return [line[start : start + most] for start in range(0, len(line), most)] if len(line) > most else [line]
