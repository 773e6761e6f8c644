"""The dashboard is what its code says, asks only for what there is, and in words that Prometheus understands."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cqox.telemetry.metric_definitions import SERIES
from deploy.grafana import dashboard
from deploy.grafana.panel import Query
from tests.deploy.asking import filled, names_in
from tests.servers.promtool import promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
QUERIES = [(panel.title, query) for row in dashboard.rows() for panel in row.panels for query in panel.queries]
# Of Prometheus itself, and of every process that its client describes.
GIVEN = {"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}


def recorded() -> set[str]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def exposed() -> set[str]:
    """Every name that a sample of a series in the table can have."""
    names: set[str] = set()
    for one in SERIES:
        ends = ("_bucket", "_count", "_sum") if one.kind == "histogram" else ("",)
        names |= {one.prometheus_name + end for end in ends}
    return names


def test_the_file_is_what_the_code_writes() -> None:
    assert dashboard.WRITTEN.read_text(encoding="utf-8") == dashboard.text(), "run: python -m deploy.grafana"


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_panel_asks_for_series_of_the_table(title: str, query: Query) -> None:
    asked = names_in(query.expr)
    assert asked
    assert asked <= exposed() | recorded() | GIVEN, asked


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_panel_distinguishes_lines_by_labels_that_the_series_has(title: str, query: Query) -> None:
    known = {"job", "instance", "le"} | {label.replace(".", "_") for one in SERIES for label in one.labels}
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= known
    for grouped in re.findall(r"by \(([^)]*)\)", query.expr):
        labels = {label.strip() for label in grouped.split(",")}
        assert labels <= known
        [*named] = [one for one in SERIES if one.prometheus_name in query.expr]
        has = {"job", "instance", "le"} | {label.replace(".", "_") for one in named for label in one.labels}
        assert not named or labels <= has, labels - has


def test_every_series_of_the_table_is_on_a_panel() -> None:
    asked = set().union(*(names_in(query.expr) for _, query in QUERIES))
    missing = [one.name for one in SERIES if not any(name.startswith(one.prometheus_name) for name in asked)]
    assert not missing


def test_every_query_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    file = tmp_path / "queries.yml"
    expressions = [query.expr for _, query in QUERIES]
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
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/cqox", str(RULES.parent)), encoding="utf-8")
    run = subprocess.run([promtool(), "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SUCCESS: 1 rule files found" in run.stdout


def test_the_stack_evaluates_the_same_rules_as_the_example() -> None:
    def loaded(path: Path) -> list[str]:
        return [Path(name).name for name in yaml.safe_load(path.read_text(encoding="utf-8"))["rule_files"]]

    assert loaded(ROOT / "deploy" / "compose" / "prometheus.yml") == loaded(RULES.parent / "prometheus.yml")


def test_panels_have_places_of_their_own_and_an_id_each() -> None:
    panels = json.loads(dashboard.text())["panels"]
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
    uids = {source["uid"] for source in sources}
    assert set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]+)"', dashboard.text())) <= uids
    [provider] = yaml.safe_load((provisioned / "dashboards" / "cqox.yaml").read_text(encoding="utf-8"))["providers"]
    mounts = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounts
