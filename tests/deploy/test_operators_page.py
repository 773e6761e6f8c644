import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")


def test_every_alarm_is_explained_with_its_severity_and_in_the_order_of_the_rules() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    alarms = [
        (rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"] if "alert" in rule
    ]
    assert re.findall(r"^### (\w+)\n\*(\w+)\.\*", PAGE, re.MULTILINE) == alarms


def test_panels_are_called_as_the_dashboard_calls_them() -> None:
    from deploy.grafana import dashboard

    titles = {panel.title for row in dashboard.rows() for panel in row.panels}
    named = set(re.findall(r'"([A-Z][^"{}]+)"', PAGE)) - {"policy"}
    assert named <= titles, named - titles
