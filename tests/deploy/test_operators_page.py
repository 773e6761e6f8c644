import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operators.md", "runbook.md"))


def test_panels_are_called_as_the_dashboard_calls_them() -> None:
    from deploy.grafana import dashboard

    titles = {panel.title for row in dashboard.rows() for panel in row.panels}
    named = set(re.findall(r'"([A-Z][a-z][^"{}:()]*)"', PAGE)) - {"policy"}
    assert named <= titles, named - titles
