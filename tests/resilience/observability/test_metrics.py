"""The table of metrics: the documentation shows it, and the services have the same where they have one."""

import sys
from pathlib import Path

from cqox.resilience.observability.metrics import METRICS
from cqox.telemetry.metric_definitions import SERIES

PAGE = Path(__file__).parents[3] / "docs" / "resilience" / "observability.md"
_MARKS = ("<!-- metrics -->", "<!-- /metrics -->")


def table() -> str:
    """The table as the page should show it."""
    lines = ["| OpenTelemetry | Prometheus | kind | unit | labels | what it says |", "|---|---|---|---|---|---|"]
    for each in METRICS:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        kind = "gauge" if each.kind == "gauge" else "counter"
        shown = each.prometheus_name + ("" if kind == "gauge" else "_total")
        if each.kind == "counter" and each.name != "cqox.rejections":
            kind += ", of events"
        lines.append(f"| `{each.name}` | `{shown}` | {kind} | `{each.unit}` | {labels} | {each.meaning} |")
    return "\n".join(lines)


def test_the_page_shows_every_metric_as_the_code_has_it() -> None:
    shown = PAGE.read_text(encoding="utf-8").split(_MARKS[0])[1].split(_MARKS[1])[0].strip()
    assert shown == table(), "run: python -m tests.resilience.observability.test_metrics"


def test_names_are_unique_and_no_label_is_a_key() -> None:
    assert len({each.name for each in METRICS}) == len(METRICS)
    assert {label for each in METRICS for label in each.labels} == {"policy", "state", "outcome", "reason"}


def test_the_services_have_the_same_definitions_under_the_same_names() -> None:
    services = {series.name: series for series in SERIES}
    both = [(metric, services[metric.name]) for metric in METRICS if metric.name in services]
    assert len(both) == 10
    for metric, series in both:
        assert (metric.kind, metric.unit, metric.labels) == (series.kind, series.unit, series.labels), metric.name
        suffix = "" if metric.kind == "gauge" else "_total"
        assert series.prometheus_name == metric.prometheus_name + suffix
    # Of requests, too, the services count those whose deadline passed.
    assert [metric.name for metric, series in both if metric.meaning != series.meaning] == ["cqox.timeouts"]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(_MARKS[0])
    after = rest.split(_MARKS[1])[1]
    PAGE.write_text(f"{before}{_MARKS[0]}\n{table()}\n{_MARKS[1]}{after}", encoding="utf-8")
    sys.stdout.write(f"{len(METRICS)} metrics\n")
