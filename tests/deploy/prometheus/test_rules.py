"""The rules for Prometheus: read here, and run by promtool where there is one (`make test` sees to it)."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cqox.telemetry.metric_definitions import SERIES
from deploy.prometheus.rules import rules as generated
from deploy.prometheus.rules import text
from tests.servers.promtool import promtool

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
SUFFIXES = ("_bucket", "_sum", "_count")
# What Prometheus itself adds to every series.
ITS_OWN = {"job", "instance", "le"}
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?\s*(?=[\[)\s]|$)")
KNOWN = {each.prometheus_name: each for each in SERIES}


def read(name: str):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def rules(kind: str) -> list[dict]:
    groups = read("rules.yml")["groups"] + read("expected.yml")["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def expressions() -> list[str]:
    return [rule["expr"] for kind in ("record", "alert") for rule in rules(kind)]


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Series of an expression with the labels by which they are selected."""
    for name, matchers in SELECTOR.findall(expression):
        if re.match(r"(cqox|http_server|http_client|db)[_:]", name) and name not in labels_of_groups(expression):
            yield name, set(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", matchers))


def labels_of_groups(expression: str) -> set[str]:
    return {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}


def series_of(name: str):
    """The series that a name at `/metrics` belongs to, and its suffix."""
    if name in KNOWN:
        return KNOWN[name], ""
    suffix = next((end for end in SUFFIXES if name.endswith(end)), "")
    return KNOWN.get(name.removesuffix(suffix)), suffix


@pytest.mark.parametrize("expression", expressions())
def test_a_rule_speaks_of_series_and_labels_that_there_are(expression: str) -> None:
    assert expression.count("(") == expression.count(")")
    recorded = {rule["record"] for rule in rules("record")}
    found = list(selected(expression))
    assert found or "up{" in expression or expression.startswith("vector(")
    known_labels = set(ITS_OWN)
    for name, labels in found:
        if name in recorded:
            continue
        series, suffix = series_of(name)
        assert series is not None, f"there is no series {name}"
        assert bool(suffix) == (series.kind == "histogram"), name
        its_labels = {label.replace(".", "_") for label in series.labels} | ITS_OWN
        assert labels <= its_labels, f"{name} has no label {labels - its_labels}"
        known_labels |= its_labels
    assert labels_of_groups(expression) <= known_labels


def test_the_file_is_what_the_code_writes() -> None:
    assert (FOLDER / "rules.yml").read_text(encoding="utf-8") == text(), "run: python -m deploy.prometheus"


def test_scaled_rules_differ_in_their_times_alone() -> None:
    times = re.compile(r"\d+(ms|[dhms])\b|\d+(\.\d+)?")
    for whole, short in zip(generated()["groups"][0]["rules"], generated(20.0)["groups"][0]["rules"], strict=True):
        assert times.sub("T", whole["expr"]) == times.sub("T", short["expr"])
        assert ("for" in whole) == ("for" in short)
        assert {key: value for key, value in whole.items() if key not in ("expr", "for")} == {
            key: value for key, value in short.items() if key not in ("expr", "for")
        }


def test_the_check_finds_a_series_and_a_label_that_there_are_not() -> None:
    test_a_rule_speaks_of_series_and_labels_that_there_are('sum by (job) (rate(cqox_rejections_total{reason="x"}[5m]))')
    for wrong in (
        "rate(cqox_rejection_total[5m])",
        'rate(cqox_rejections_total{raison="x"}[5m])',
        "sum by (raison) (rate(cqox_rejections_total[5m]))",
        "rate(cqox_event_loop_lag_seconds[5m])",
        "(rate(cqox_rejections_total[5m])",
    ):
        with pytest.raises(AssertionError):
            test_a_rule_speaks_of_series_and_labels_that_there_are(wrong)


def test_what_an_alert_says_names_labels_that_it_keeps() -> None:
    for alert in rules("alert"):
        named = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        kept = labels_of_groups(alert["expr"])
        if not kept:
            # A record without a grouping keeps the labels of what it is made of.
            made = {rule["record"]: rule["expr"] for rule in rules("record")}
            bare = " ".join([alert["expr"], *(expr for name, expr in made.items() if name in alert["expr"])])
            kept = ITS_OWN | {
                label.replace(".", "_")
                for name, _ in selected(bare)
                if series_of(name)[0] is not None
                for label in series_of(name)[0].labels
            }
        assert named <= kept, alert["alert"]


def test_every_alert_is_tested_where_it_fires_and_where_it_must_not_and_every_record_is_tested() -> None:
    tests = read("rules_test.yml")["tests"]
    cases = [case for each in tests for case in each.get("alert_rule_test", [])]
    names = {rule["alert"] for rule in rules("alert")}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names - {"Watchdog"}
    asked = " ".join(case["expr"] for each in tests for case in each.get("promql_expr_test", []))
    written = [rule["record"] for rule in generated()["groups"][0]["rules"] if "record" in rule]
    assert [name for name in written if name not in asked] == []


def test_the_rules_pass_their_tests() -> None:
    program = promtool()
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "rules_test.yml"]):
        run = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
