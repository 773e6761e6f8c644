"""The table of staged alerts in the documentation, of which a run replaces the rows that it has measured."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.alerts.scenes import SCENES, Scene, words_of
from tests.alerts.staging import Staged, named

__all__ = ["PAGE", "rows_of", "with_staged", "write_page"]

PAGE = Path(__file__).parents[2] / "docs" / "staged-alerts.md"
"""The page."""

type Seconds = Mapping[tuple[str, str], tuple[str, str]]
"""Seconds until an alert fired and until it was resolved, as text, by the words of the cause and the alert."""

_BEGIN, _END = "<!-- figures -->\n", "<!-- end -->"
_HEAD = "| cause | alert | receiver | fired after s | at most s | resolved after s |\n|---|---|---|---:|---:|---:|\n"
_ROW = re.compile(r"^\| (.+) \| `(\w+)` \| `\w+` \| ([\d–]+) \| \d+ \| ([\d–]+) \|$", re.MULTILINE)


def rows_of(text: str) -> Seconds:
    """Return the seconds on a page."""
    return {(cause, alert): (fired, resolved) for cause, alert, fired, resolved in _ROW.findall(text)}


def with_staged(text: str, seconds: Seconds, scenes: Sequence[Scene] = SCENES) -> str:
    """Return a page with a row for each alert of each scene; those without new seconds keep the ones that they have.

    Raises:
        ValueError: the page has no place for the table.
    """
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN.strip()} or no {_END}")
    known = {**rows_of(rest), **seconds}
    lines = []
    for scene in scenes:
        cause = words_of(scene)
        for alert in map(named, scene.alerts):
            fired, resolved = known.get((cause, alert.name), ("–", "–"))
            lines.append(
                f"| {cause} | `{alert.name}` | `{alert.severity}` | {fired} | {alert.within:.0f} | {resolved} |\n"
            )
    return f"{head}{begin}{_HEAD}{''.join(lines)}{end}{tail}"


def write_page(staged: Sequence[Staged]) -> None:
    """Write the seconds of a run into the page."""
    seconds = {(each.cause, each.alert.name): (f"{each.fired:.0f}", f"{each.resolved:.0f}") for each in staged}
    PAGE.write_text(with_staged(PAGE.read_text(encoding="utf-8"), seconds), encoding="utf-8")
