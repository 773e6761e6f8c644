"""The dashboard of operations asks for series of the table, by labels that they have, and each once."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cqox.contract.messages import LANGUAGES
from cqox.dashboards import Gauge, Increase, Match, MetricQuery, Panel, Quantile, Rate, Ratio, Sum
from cqox.dashboards.answering import labels_of, metric_queries
from cqox.dashboards.interpreter import names_of
from cqox.dashboards.operations import OPERATIONS
from cqox.dashboards.operations.own_series import PROCESS_CPU, PROCESS_FILES, PROCESS_MEMORY, UP
from cqox.dashboards.promql import expression
from cqox.telemetry.metric_definitions import SERIES
from tests.servers.promtool import promtool

GIVEN = (UP, PROCESS_CPU, PROCESS_FILES, PROCESS_MEMORY)
QUERIES = [(panel.id, query) for panel in OPERATIONS.panels for query in metric_queries(panel)]


def leaves(query: MetricQuery) -> list[Gauge | Rate | Increase | Quantile]:
    match query:
        case Ratio():
            return [*leaves(query.part), *leaves(query.whole)]
        case Sum():
            return list(query.parts)
        case _:
            return [query]


def test_there_are_enough_panels_each_with_an_id_and_a_title_of_its_own() -> None:
    panels = OPERATIONS.panels
    assert len(panels) >= 37
    assert len({panel.id for panel in panels}) == len(panels)
    for language in LANGUAGES:
        assert len({panel.title.in_language(language) for panel in panels}) == len(panels)
    assert all(re.fullmatch("[a-z][a-z0-9-]*", panel.id) for panel in panels)
    assert len({row.id for row in OPERATIONS.rows}) == len(OPERATIONS.rows)


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=[panel for panel, _ in QUERIES])
def test_a_query_asks_for_a_series_of_its_kind_by_labels_that_it_has(panel: str, query: MetricQuery) -> None:
    for leaf in leaves(query):
        assert leaf.series in (*SERIES, *GIVEN)
        levels = ("gauge",) if isinstance(leaf, Gauge) else ("counter", "total", "histogram")
        assert leaf.series.kind in levels
        assert not isinstance(leaf, Quantile) or leaf.series.kind == "histogram"
        has = {"job", "instance"} | {label.replace(".", "_") for label in leaf.series.labels}
        conditions: tuple[Match, ...] = leaf.where
        assert {*leaf.by, *(match.label for match in conditions)} <= has, panel
    assert set(query.legend.labels) <= set(labels_of(query))
    if isinstance(query, Ratio):
        assert query.part.by == query.whole.by


def test_every_series_of_the_table_is_on_a_panel() -> None:
    asked = set().union(*(names_of(query) for _, query in QUERIES))
    missing = [one.name for one in SERIES if not any(name.startswith(one.prometheus_name) for name in asked)]
    assert not missing


@pytest.mark.parametrize("panel", OPERATIONS.panels, ids=lambda panel: panel.id)
def test_the_unit_of_a_panel_is_that_of_its_series(panel: Panel) -> None:
    for query in metric_queries(panel):
        first = leaves(query)[0]
        of_series = {"s": "seconds", "By": "bytes"}.get(first.series.unit, "number")
        match query:
            case Ratio(times=1):
                # A share, a count of one process, or how often for each request.
                assert panel.unit in ("ratio", "number")
            case Ratio():
                assert panel.unit in ("number", "ratio")
            case Rate() if first.series.unit == "s" and first.series.kind != "histogram":
                assert panel.unit == "cores"
            case Rate() if first.series.unit == "By":
                assert panel.unit == "bytes_per_second"
            case Rate():
                assert panel.unit in ("per_second", "requests_per_second") or len(panel.queries) > 1
            case Increase():
                assert panel.unit == "number"
            case _:
                assert panel.unit == of_series


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"q{number}", "expr": expression(query, window="1m")} for number, (_, query) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    run = subprocess.run([promtool(), "check", "rules", "--lint=none", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(QUERIES)} rules found" in run.stdout
