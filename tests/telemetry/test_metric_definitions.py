"""The table of series: the documentation shows it, the code records nothing else, and Prometheus sees all of it."""

import ast
import sys
from pathlib import Path

from cqox.telemetry import metric_definitions
from cqox.telemetry.metric_definitions import SERIES, Series

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "telemetry.md"
_MARKS = ("<!-- series -->", "<!-- /series -->")


def table() -> str:
    """The table as the page should show it."""
    lines = ["| series | kind | unit | labels | where | what it says |", "|---|---|---|---|---|---|"]
    for each in SERIES:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.kind} | `{each.unit}` | {labels} | {each.service} | {each.meaning} |")
    return "\n".join(lines)


def test_the_page_shows_every_series_as_the_code_has_it() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(_MARKS[0])[1].split(_MARKS[1])[0].strip()
    assert shown == table(), "run: python -m tests.telemetry.test_metric_definitions"


def test_every_series_is_recorded_somewhere() -> None:
    names = {name for name, value in vars(metric_definitions).items() if isinstance(value, Series)}
    used: set[str] = set()
    for top in ("cqox", "services"):
        for path in (ROOT / top).rglob("*.py"):
            if path.name == "metric_definitions.py" and path.parent.name == "telemetry":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "metric_definitions"
                ):
                    used |= {node.attr} if node.attr.isupper() else set()
    assert used == names


def test_names_are_unique_and_histograms_have_bounds_that_rise() -> None:
    assert len({each.name for each in SERIES}) == len(SERIES)
    for each in SERIES:
        assert (each.kind == "histogram") == bool(each.buckets), each.name
        assert list(each.buckets) == sorted(set(each.buckets)), each.name
        assert not [label for label in each.labels if label.endswith(("id", "path"))], each.name


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(_MARKS[0])
    after = rest.split(_MARKS[1])[1]
    PAGE.write_text(f"{before}{_MARKS[0]}\n{table()}\n{_MARKS[1]}{after}", encoding="utf-8")
    sys.stdout.write(f"{len(SERIES)} series\n")
