"""The page of panels has every panel and query as they are now."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from cqox.contract import PanelData
from cqox.dashboards import Dashboard, Panel
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.operations import OPERATIONS
from tests.panels.page import PAGE, page, queries_of, sample_of, without_samples

BOARDS = (OPERATIONS, ANALYSIS)
TEXT = PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+) \(`([\w-]+)`\) \| ([\w ]+) \| (<code>[^|]+</code>) \| ([^|]+) \|$", re.MULTILINE)


def test_the_page_is_what_its_definitions_say_but_for_the_values() -> None:
    samples = {(board.id, panel.id): "1" for board in BOARDS for panel in board.panels}
    made = page(samples, day=datetime(2026, 1, 1, tzinfo=UTC))
    assert without_samples(made) == without_samples(TEXT), "run: make panels"


def test_each_panel_stands_on_the_page_with_all_of_its_queries_and_a_value() -> None:
    rows = ROW.findall(TEXT)
    panels = [(board, panel) for board in BOARDS for panel in board.panels]
    assert [(title, name) for title, name, *_ in rows] == [(str(panel.title), panel.id) for _, panel in panels]
    for (board, panel), (_, _, unit, queries, value) in zip(panels, rows, strict=True):
        asked = [unescape(query) for query in re.findall("<code>(.*?)</code>", queries)]
        assert asked == [" ".join(query.split()) for query in queries_of(board, panel)], panel.id
        assert asked, panel.id
        assert unit == panel.unit.replace("_", " ")
        assert value.strip()


def test_a_question_to_the_result_store_has_its_values_in_place() -> None:
    [query] = queries_of(ANALYSIS, ANALYSIS.panel("gates-failed"))
    assert "status IN ('fail')" in query
    assert set(re.findall(r":(\w+)", query)) == {"tenant", "start", "end"}


def test_nothing_on_the_page_names_the_address_of_a_process() -> None:
    values = [value for *_, value in ROW.findall(TEXT)]
    assert not [value for value in values if re.search(r"\d+\.\d+\.\d+\.\d+|:\d{4,5}\b", value)]


@pytest.mark.parametrize(
    ("board", "panel", "content", "expected"),
    [
        (OPERATIONS, "failing", {"series": [("a", 0.5), ("b", 0.0123456)]}, "50% (a)"),
        (OPERATIONS, "slowest", {"series": [("one host-1:8080", 0.123456)]}, "0.1235 s (one …)"),
        (OPERATIONS, "answering", {"series": [], "reason": "Nothing was recorded."}, "nothing: Nothing was recorded."),
        (ANALYSIS, "effects", {"rows": [["a.csv", None, 1234.0, True]]}, "a.csv · – · 1,234 · True"),
    ],
)
def test_a_value_is_the_greatest_line_or_the_first_row_or_the_reason_why_there_is_none(
    board: Dashboard, panel: str, content: dict[str, Any], expected: str
) -> None:
    assert sample_of(board.panel(panel), shown(board.panel(panel), **content)) == expected


def shown(
    panel: Panel,
    *,
    series: list[tuple[str, float]] | None = None,
    rows: list[list[object]] | None = None,
    reason: str | None = None,
) -> PanelData:
    lines = [{"name": name, "labels": {}, "points": [(0.0, value), (1.0, value / 2)]} for name, value in series or ()]
    content = {"series": lines, "columns": None, "rows": rows, "reason": reason, "notes": []}
    return PanelData.model_validate(
        {"panel": panel.id, "unit": panel.unit, "start": 0.0, "end": 1.0, "step": 1.0, **content}
    )
