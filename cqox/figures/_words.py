"""Labels of arms and weightings, and texts cut to a width."""

from cqox.contract.messages import Message, width

__all__ = ["AFTER_WEIGHTING", "BEFORE_WEIGHTING", "TREATED", "UNTREATED", "WEIGHTINGS", "short", "with_contrast"]

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
    """Truncate the text to a display width in Latin letters; full-width characters count twice."""
    taken = 0
    for place, letter in enumerate(text):
        taken += width(letter)
        if taken > most:
            return f"{text[: max(place - 1, 1)]}…"
    return text
