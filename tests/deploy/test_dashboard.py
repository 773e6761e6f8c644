"""The dashboard is what its code says, asks only for what there is, and in words that Prometheus understands."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cqox.dashboards import Dashboard
from cqox.dashboards.answering import metric_queries
from deploy.grafana import dashboard
from deploy.prometheus.alerts import ALERTS
from tests.deploy.asking import filled
from tests.servers.promtool import promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"


@pytest.mark.parametrize("one", dashboard.DASHBOARDS, ids=lambda one: one.id)
def test_the_file_is_what_the_code_writes(one: Dashboard) -> None:
    written = (dashboard.FOLDER / f"{one.id}.json").read_text(encoding="utf-8")
    assert written == dashboard.text(one), "run: python -m deploy.grafana"


def test_every_link_to_the_runbook_names_an_alert_that_can_fire() -> None:
    linked = {
        link.target
        for one in dashboard.DASHBOARDS
        for panel in one.panels
        for link in panel.links
        if link.kind == "runbook"
    }
    assert linked
    assert linked <= {f"runbook.md#{alert.name}" for alert in ALERTS}


def test_there_is_no_file_of_another_dashboard() -> None:
    assert {path.stem for path in dashboard.FOLDER.iterdir()} == {one.id for one in dashboard.DASHBOARDS}


def test_a_line_is_called_as_on_our_own_page_with_labels_for_values() -> None:
    burn = dashboard.OPERATIONS.panel("burn-rate")
    assert dashboard.legend(metric_queries(burn)[0]) == "5 min {{job}}"


def test_small_values_are_the_bad_ones_where_the_alarm_is_below_the_warning() -> None:
    panels = {panel["title"]: panel for panel in json.loads(dashboard.text(dashboard.OPERATIONS))["panels"]}
    steps = panels["Free disk"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["color"], step["value"]) for step in steps] == [("red", None), ("orange", 0.05), ("green", 0.15)]


def test_panels_about_analyses_are_asked_by_one_statement_within_the_time_range() -> None:
    found = dashboard.dashboard(dashboard.ANALYSIS)
    panels = [panel for panel in found["panels"] if panel["type"] != "row"]  # type: ignore[attr-defined]
    assert len(panels) == len(dashboard.ANALYSIS.panels)
    for panel in panels:
        [target] = panel["targets"]
        assert "$__unixEpochFrom()" in target["rawSql"], panel["title"]
        assert target["format"] == ("time_series" if panel["type"] == "timeseries" else "table")
        assert panel["datasource"]["type"] == "grafana-postgresql-datasource"
    assert found["templating"] == {"list": []}


def test_every_query_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    file = tmp_path / "queries.yml"
    expressions = [expr for _, expr in dashboard.expressions()]
    expressions += [one["expr"] for one in dashboard.dashboard()["annotations"]["list"]]  # type: ignore[index, call-overload]
    rules = [{"record": f"q{number}", "expr": filled(expr)} for number, expr in enumerate(expressions)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    run = subprocess.run([promtool(), "check", "rules", "--lint=none", file], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(expressions)} rules found" in run.stdout


def test_prometheus_of_the_stack_takes_its_configuration(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "compose" / "prometheus.yml").read_text(encoding="utf-8")
    # Mounted there in the container: see compose.yaml.
    (tmp_path / "credentials").write_text("key")
    text = text.replace("/etc/prometheus/cqox-credentials", str(tmp_path / "credentials"))
    text = text.replace("/etc/prometheus/expected.yml", str(RULES.parent / "expected.yml"))
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/cqox", str(RULES.parent)), encoding="utf-8")
    run = subprocess.run([promtool(), "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SUCCESS: 2 rule files found" in run.stdout


def test_the_stack_evaluates_the_same_rules_as_the_example() -> None:
    def loaded(path: Path) -> list[str]:
        return [Path(name).name for name in yaml.safe_load(path.read_text(encoding="utf-8"))["rule_files"]]

    assert loaded(ROOT / "deploy" / "compose" / "prometheus.yml") == loaded(RULES.parent / "prometheus.yml")


def test_panels_have_places_of_their_own_and_an_id_each() -> None:
    panels = json.loads(dashboard.text(dashboard.OPERATIONS))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_sources_of_the_dashboard_are_provisioned() -> None:
    provisioned = ROOT / "deploy" / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioned / "datasources" / "cqox.yaml").read_text(encoding="utf-8"))["datasources"]
    sources_of = {(source["type"], source["uid"]) for source in sources}
    for one in dashboard.DASHBOARDS:
        named = re.findall(r'"type": "([\w-]+)",\s*"uid": "([^"]+)"', dashboard.text(one))
        assert set(named) <= sources_of
    [provider] = yaml.safe_load((provisioned / "dashboards" / "cqox.yaml").read_text(encoding="utf-8"))["providers"]
    mounts = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_grafana_begins_with_a_dashboard_that_there_is() -> None:
    stack = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]
    home = Path(stack["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (dashboard.FOLDER / home.name).is_file()
