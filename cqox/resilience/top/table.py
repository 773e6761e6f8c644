"""The table of parts, drawn by Rich. Texts of the app are never read as markup or as control characters."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cqox.resilience.top.parts import PartRow

__all__ = ["drawn", "printable"]

_UNKNOWN = "–"
_STYLES = {"open": "bold red", "half_open": "yellow", "closed": "green"}
_WORST_FIRST = ("open", "half_open", "closed")


def drawn(rows: Sequence[PartRow], *, title: str, problem: str = "") -> RenderableType:
    """Draw the table with a line above it.

    Args:
        rows: the parts, in the order in which they are shown.
        title: text above the table.
        problem: why the rows are not the present ones; they are dimmed where it is given.
    """
    above = [Text(printable(title), style="bold")]
    if problem:
        above.append(Text(printable(problem), style="bold red"))
    if not rows:
        above.append(Text("No metrics of policies (cqox_…) are among them: see docs/resilience/observability.md."))
        return Group(*above)
    table = Table(box=None, pad_edge=False, style="dim" if problem else "")
    table.add_column("part", no_wrap=True, overflow="ellipsis", min_width=12)
    table.add_column("state", no_wrap=True)
    for heading in (
        "calls/s",
        "failed",
        "rejected/s",
        "retries/s",
        "timeouts/s",
        "in flight",
        "limit",
        "queued",
        "budget",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(Text(printable(row.name)), _state(row.state), *_figures(row))
    return Group(*above, table)


def printable(text: str) -> str:
    """Replace what a terminal would obey by a mark."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _state(state: Mapping[str, int]) -> Text:
    if not state:
        return Text(_UNKNOWN)
    order = sorted(state, key=lambda name: (_WORST_FIRST.index(name) if name in _WORST_FIRST else 0, name))
    # Several circuits of one name are counted; one is in a state.
    alone = sum(state.values()) == 1
    words = [Text(printable(name if alone else f"{state[name]} {name}"), style=_STYLES.get(name, "")) for name in order]
    return Text(", ").join(words)


def _figures(row: PartRow) -> list[str]:
    failed = _UNKNOWN if math.isnan(row.failed) else f"{100 * row.failed:.1f}%"
    return [
        _figure(row.calls),
        failed,
        *(_figure(value) for value in (row.rejected, row.retries, row.timeouts)),
        *(_figure(value, digits=0) for value in (row.running, row.limit, row.queued)),
        _figure(row.budget),
    ]


def _figure(value: float, *, digits: int = 1) -> str:
    if math.isnan(value):
        return _UNKNOWN
    return f"{value:,.0f}" if math.isinf(value) or value == 0 or abs(value) >= 1000 else f"{value:.{digits}f}"
