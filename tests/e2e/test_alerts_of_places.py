"""Alerts of a disk that fills up and of a certificate that ends, with real ones, at a twentieth of their times."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.alerts.scenes import PLACES, SCENES

_FACTOR = 20.0


@pytest.fixture(scope="module", params=["disk", "certificates"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    with PLACES[request.param](tmp_path_factory.mktemp("place"), factor=_FACTOR) as made:
        yield request.param, made


def test_alerts_fire_in_time_name_their_runbook_and_resolve(place: tuple[str, Any]) -> None:
    name, made = place
    for scene in (each for each in SCENES if each.place == name):
        staged = scene.staged_in(made)
        assert [each.alert.name for each in staged] == list(scene.alerts)
        assert all(each.is_in_time for each in staged), staged
