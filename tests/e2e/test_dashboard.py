"""Every panel of operations has data after a mixed workload on real services with all of their parts."""

import math
import time
from collections.abc import Iterator

import pytest

from cqox.dashboards import Panel
from cqox.dashboards.operations import OPERATIONS
from tests.e2e.mixed_workload import mixed_workload


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, object]]]:
    """Content of each panel after the workload, by its id."""
    with mixed_workload(tmp_path_factory.mktemp("dashboard")) as client:
        now = time.time()
        span = {"from": now - 600, "to": now, "step": 5}
        paths = {panel.id: f"/api/dashboards/operations/panels/{panel.id}" for panel in OPERATIONS.panels}
        yield {name: client.get(path, params=span).raise_for_status().json() for name, path in paths.items()}


def points(data: dict[str, object]) -> list[float]:
    series = data["series"]
    assert isinstance(series, list)
    return [value for line in series for _, value in line["points"]]


@pytest.mark.parametrize("panel", OPERATIONS.panels, ids=lambda panel: panel.id)
def test_a_panel_has_data_of_its_unit(panels: dict[str, dict[str, object]], panel: Panel) -> None:
    data = panels[panel.id]
    assert data["reason"] is None
    assert data["notes"] == []
    values = points(data)
    assert values
    assert all(math.isfinite(value) and value >= 0 for value in values)
    if panel.unit == "ratio" and panel.id != "budget-used":
        assert max(values) <= 1.5, "a share, not a percentage"
    if panel.unit == "seconds" and panel.id != "certificates":
        assert max(values) < 120, "seconds, not milliseconds"


def test_what_has_happened_can_be_seen(panels: dict[str, dict[str, object]]) -> None:
    """The engine was lost: its circuit opened, calls were retried and given up, and requests failed."""
    for name in ("circuits", "circuit-changes", "retries", "retry-share", "refusals", "attempts-failing", "failing"):
        assert max(points(panels[name])) > 0, name


def test_panels_differ_from_one_another(panels: dict[str, dict[str, object]]) -> None:
    moving = [sorted(points(data)) for data in panels.values() if len(set(points(data))) > 2]
    assert len({str(values) for values in moving}) == len(moving)
    assert len(moving) > len(panels) / 3
