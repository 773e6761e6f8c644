"""The page of panels: each with its queries, its unit and one value that a real run has shown."""

import re
from collections.abc import Mapping
from datetime import datetime
from html import escape
from pathlib import Path

from cqox.contract import PanelData
from cqox.dashboards import Dashboard, Panel
from cqox.dashboards.analyses import ANALYSIS, PANELS
from cqox.dashboards.answering import metric_queries
from cqox.dashboards.operations import OPERATIONS
from cqox.dashboards.promql import expression
from cqox.storage.view_sql import asked

__all__ = ["PAGE", "page", "queries_of", "sample_of", "without_samples"]

PAGE = Path(__file__).parents[2] / "docs" / "dashboard-panels.md"
"""The page."""

_HEAD = """# Panels and their queries

<!-- Written by `make panels`; a test compares all but the values. -->

Each panel of both [dashboards](dashboards.md), what it asks, and one value that it showed on {day} at the end of
a run of real services: a gateway and an engine with mutual TLS, PostgreSQL and Redis, requests of every kind, an engine
that was killed, a circuit that was forced open, and analyses of several designs. Where a panel has lines, the value is
the greatest one of the run, with the name of its line, in which `…` stands for the address of a process; of a table it
is the first row.
"""
_SECTIONS = {
    "operations": """
PromQL as our own page asks Prometheus for the last quarter of an hour. Grafana asks the same with its own window and
the chosen services and processes.
""",
    "analysis": """
SQL over the [views of the result store](dashboards.md#views-of-the-result-store), for one tenant (`:tenant`), the span
that is shown (`:start`, `:end`, seconds since the epoch) and the seconds of a step (`:step`).
""",
}
_WINDOW = "1m"
_MARK = re.compile(r":wanted_(\d+)_(\d+)")
_ADDRESS = re.compile(r"127\.0\.0\.1 \d+|[\w.-]+:\d+")
_SIGNS = "|*\\[]~`"
_DIGITS = 4
_MOST_CELLS = 6
_UNITS: Mapping[str, str] = {
    "number": "",
    "ratio": "%",
    "seconds": " s",
    "bytes": " bytes",
    "bytes_per_second": " bytes/s",
    "per_second": "/s",
    "requests_per_second": " requests/s",
    "cores": " cores",
    "timestamp": "",
}


def page(samples: Mapping[tuple[str, str], str], *, day: datetime) -> str:
    """Return the page.

    Args:
        samples: values by dashboard and panel.
        day: when they were shown.
    """
    parts = [_HEAD.format(day=f"{day:%d %B %Y}".removeprefix("0"))]
    for board in (OPERATIONS, ANALYSIS):
        parts.append(f"\n## {board.title}\n{_SECTIONS[board.id]}")
        for row in board.rows:
            lines = ["| panel | unit | query | value |", "|---|---|---|---|"]
            for panel in row.panels:
                queries = "<br>".join(_code(each) for each in queries_of(board, panel))
                lines.append(
                    f"| {panel.title} (`{panel.id}`) | {panel.unit.replace('_', ' ')} | {queries} "
                    f"| {_cell(samples[board.id, panel.id])} |"
                )
            parts.append(f"\n### {row.title}\n\n" + "\n".join(lines) + "\n")
    return "".join(parts)


def without_samples(text: str) -> str:
    """Return the page without its values and their day."""
    bare = re.sub(r"^(\| .* \|) [^|]* \|$", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"it showed on \d+ \w+ \d{4}", "it showed", bare)


def queries_of(board: Dashboard, panel: Panel) -> list[str]:
    """Return what a panel asks Prometheus or the result store."""
    if board.id == OPERATIONS.id:
        return [expression(query, window=_WINDOW) for query in metric_queries(panel)]
    found = []
    for query in PANELS[panel.id].queries:
        wanted = [values for _, values in query.where]

        def literal(mark: re.Match[str], wanted: list[tuple[str, ...]] = wanted) -> str:
            return f"'{wanted[int(mark[1])][int(mark[2])]}'"

        found.append(_MARK.sub(literal, asked(query)).replace(":most_rows", str(query.most_rows)))
    return found


def sample_of(panel: Panel, shown: PanelData) -> str:
    """Return the greatest value that a panel showed, or the first row of its table, or the reason why there is none."""
    if shown.rows:
        return " · ".join("–" if cell is None else _text(cell) for cell in shown.rows[0][:_MOST_CELLS])
    lines = [line for line in shown.series if line.points]
    if not lines:
        return f"nothing: {shown.reason}"
    value, greatest = max(((value, line) for line in lines for _, value in line.points), key=lambda found: found[0])
    number = _text(100 * value if panel.unit == "ratio" else value)
    name = _ADDRESS.sub("…", greatest.name)
    return f"{number}{_UNITS[panel.unit]} ({name})"


def _text(value: str | float | bool) -> str:
    if isinstance(value, str | bool):
        return str(value)
    if float(value).is_integer() and abs(value) < 10**15:
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"


def _code(text: str) -> str:
    return f"<code>{_cell(' '.join(text.split()))}</code>"


def _cell(text: str) -> str:
    # References, since not all Markdown takes a backslash within code for an escape.
    return "".join(f"&#{ord(each)};" if each in _SIGNS else each for each in escape(text, quote=False))
