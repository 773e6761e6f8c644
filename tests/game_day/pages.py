"""The table of a game day in the pages of the documentation."""

from collections.abc import Mapping
from pathlib import Path

from tests.game_day.report import table

__all__ = ["PAGES", "with_table", "write_tables"]

_DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[str, Path] = {"en": _DOCS / "game-day.md", "ja": _DOCS / "ja" / "game-day.md"}
"""The pages by their language."""

_BEGIN, _END = "<!-- figures -->\n", "<!-- end -->"


def with_table(text: str, report: Mapping[str, object], language: str) -> str:
    """Return a page with the table of a report in the place of the one that it has.

    Raises:
        ValueError: the page has no place for it.
    """
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN.strip()} or no {_END}")
    return f"{head}{begin}{table(report, language)}\n{end}{tail}"


def write_tables(report: Mapping[str, object]) -> None:
    """Write the table of a report into the pages of both languages."""
    for language, page in PAGES.items():
        page.write_text(with_table(page.read_text(encoding="utf-8"), report, language), encoding="utf-8")
