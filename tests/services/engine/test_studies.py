"""The dashboard of analyses over a running engine."""

import httpx
import pytest

from cqox.contract import DashboardDescription, PanelData
from services.engine.studies import handlers
from tests.services.engine.handled import state_of

PANELS = "/api/dashboards/analysis/panels"
ASKED = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w"},
    "options": {"estimators": ["difference_in_means"]},
}


def test_there_is_a_handler_of_the_definition_and_one_of_panels() -> None:
    assert set(handlers(state_of())) == {"read_analysis_dashboard", "read_analysis_panel"}


def test_a_panel_shows_a_report_that_was_just_computed_in_the_language_of_the_request(engine: httpx.Client) -> None:
    found = DashboardDescription.model_validate(engine.get("/api/dashboards/analysis?lang=ja").json())
    assert (found.title, sum(len(row.panels) for row in found.rows)) == ("分析", 37)
    empty = PanelData.model_validate(engine.get(f"{PANELS}/verdicts?from=1000&to=9000").json())
    assert (empty.series, empty.reason) == ([], "No analysis of this time has a verdict.")
    analysis = engine.post("/api/analyze/comprehensive", json=ASKED, timeout=60).json()
    answer = engine.get(f"{PANELS}/effects?lang=ja")
    shown = PanelData.model_validate(answer.json())
    assert shown.columns is not None
    assert shown.columns[0] == "データセット"
    assert [row[-1] for row in shown.rows or ()] == [f"/a/{analysis['analysis_id']}"]
    assert answer.headers["Cache-Control"] == "no-store"
    counted = PanelData.model_validate(engine.get(f"{PANELS}/verdicts").json())
    assert {line.name: sum(value for _, value in line.points) for line in counted.series}[
        analysis["decision"]["verdict"]
    ] == 1


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("nothing", 404, None),
        ("verdicts?from=9&to=3", 400, "from"),
        ("verdicts?from=x", 400, "from"),
        ("verdicts?step=1", 400, "step"),
        ("verdicts?job=cqox-engine", 400, "job"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    engine: httpx.Client, path: str, status: int, field: str | None
) -> None:
    answer = engine.get(f"{PANELS}/{path}")
    assert (answer.status_code, answer.json().get("field")) == (status, field)
