"""Alerts of causes that last: an audit log that cannot be stored, and a share of requests that fail.

They are staged at a twentieth of their times; what has to pile up takes as long as ever. An exhausted pool is staged in
real time alone: a look at the health takes longer than the windows of a twentieth, and one that is late would page.
"""

from pathlib import Path

import pytest

from tests.alerts.scenes import PLACES, SCENES, Scene

_FACTOR = 20.0
_CAUSES = ("locked_audit", "lossy_link")

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("scene", [each for each in SCENES if each.cause in _CAUSES], ids=lambda each: each.cause)
def test_an_alert_fires_in_time_names_its_runbook_and_resolves(tmp_path: Path, scene: Scene) -> None:
    with PLACES[scene.place](tmp_path, factor=_FACTOR) as place:
        staged = scene.staged_in(place)
    assert [each.alert.name for each in staged] == list(scene.alerts)
    assert all(each.is_in_time for each in staged), staged
