"""Alerts of a slow network, a full disk and a certificate that ends: real ones, at a twentieth of their times."""

from pathlib import Path

import pytest

from tests.alerts.scenes import PLACES, SCENES, Scene

_FACTOR = 20.0
_CAUSES = ("slow_link", "full", "dying")


@pytest.mark.parametrize("scene", [each for each in SCENES if each.cause in _CAUSES], ids=lambda each: each.cause)
def test_an_alert_fires_in_time_names_its_runbook_and_resolves(tmp_path: Path, scene: Scene) -> None:
    with PLACES[scene.place](tmp_path, factor=_FACTOR) as place:
        staged = scene.staged_in(place)
    assert [each.alert.name for each in staged] == list(scene.alerts)
    assert all(each.is_in_time for each in staged), staged
