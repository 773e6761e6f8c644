"""Labels of arms and weightings, and texts cut to a width."""

from collections.abc import Sequence

from cqox.contract.messages import Message, width

__all__ = [
    "AFTER_WEIGHTING",
    "BEFORE_WEIGHTING",
    "TREATED",
    "UNTREATED",
    "WEIGHTINGS",
    "short",
    "short_names",
    "with_contrast",
]

_END, _WHOLE = 2, 5
"""Two fifths of a cut text are its end."""

TREATED, UNTREATED = Message("figures.treated"), Message("figures.untreated")
BEFORE_WEIGHTING, AFTER_WEIGHTING = Message("figures.before-weighting"), Message("figures.after-weighting")

WEIGHTINGS = {
    "ATE": Message("figures.weighting-ate"),
    "ATT": Message("figures.weighting-att"),
    "ATC": Message("figures.weighting-atc"),
    "ATO": Message("figures.weighting-ato"),
    "ATE_psm": Message("figures.weighting-ate-psm"),
    "ATT_psm": Message("figures.weighting-att-psm"),
    "ATE_nearest": Message("figures.weighting-ate-nearest"),
    "ATT_nearest": Message("figures.weighting-att-nearest"),
    "ATE_strata": Message("figures.weighting-ate-strata"),
    "ATE_entropy": Message("figures.weighting-ate-entropy"),
    "ATT_entropy": Message("figures.weighting-att-entropy"),
}
"""Labels of the weightings in the diagnostics."""


def with_contrast[Text: str](text: Text, contrast: str) -> Text | Message:
    """Return the text with the treatment levels compared in parentheses; the text itself if `contrast` is empty."""
    return Message("figures.with-contrast", text=text, contrast=contrast) if contrast else text


def short(text: str, most: int = 48) -> str:
    """Cut the middle out of a text that is wider than `most` Latin letters; full-width characters count twice.

    Its end stays: there the unit stands, and often what long names differ in.
    """
    if width(text) <= most:
        return text
    end = _fitting(text[::-1], (most - 1) * _END // _WHOLE)
    start = _fitting(text, most - 1 - width(text[len(text) - end :]))
    return f"{text[: max(start, 1)].rstrip()}…{text[len(text) - end :].lstrip()}"


def short_names(names: Sequence[str], most: int) -> list[str]:
    """Return the names cut to a width, numbered where two would be the same."""
    found: list[str] = []
    for name in names:
        cut, number = short(name, most), 1
        while cut in found:
            number += 1
            ending = f" ({number})"
            cut = short(name, most - len(ending)) + ending
        found.append(cut)
    return found


def _fitting(text: str, most: int) -> int:
    """Return how many letters of a text are at most so wide."""
    taken = 0
    for place, letter in enumerate(text):
        taken += width(letter)
        if taken > most:
            return place
    return len(text)
