"""The page on dashboards names every column of every view."""

import re
from pathlib import Path

from cqox.dashboards.views import VIEWS

PAGE = Path(__file__).parents[2] / "docs" / "dashboards.md"


def test_the_page_documents_the_columns_of_each_view_in_their_order() -> None:
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    documented = {
        section.split("\n", 1)[0]: re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", section, flags=re.MULTILINE)
        for section in sections[1:]
    }
    views = {name: rows for name, rows in documented.items() if name.startswith("dashboard_")}
    assert views == {
        view: [(name, column.kind, column.meaning) for name, column in columns.items()]
        for view, columns in VIEWS.items()
    }
