"""Alerts whose causes cannot be made within seconds, staged with stand-ins that show series of a service in trouble."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cqox.telemetry.metric_definitions import SERIES
from deploy.prometheus.alerts import ALERTS
from tests.alerts.scenes import SCENES, Scene, stand_ins
from tests.alerts.stand_in import CAUSES

_FACTOR = 60.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with stand_ins(tmp_path_factory.mktemp("stand-ins"), factor=_FACTOR) as made:
        yield made


@pytest.mark.parametrize("scene", [each for each in SCENES if each.place == "stand-ins"], ids=lambda each: each.cause)
def test_alerts_fire_in_time_name_their_runbook_and_resolve(place: Any, scene: Scene) -> None:
    staged = scene.staged_in(place)
    assert [each.alert.name for each in staged] == list(scene.alerts)
    assert all(each.is_in_time for each in staged), staged


def test_every_alert_is_staged_and_the_watchdog_with_each_of_them() -> None:
    staged = {name for scene in SCENES for name in scene.alerts}
    assert staged | {"Watchdog"} == {each.name for each in ALERTS}


def test_a_stand_in_shows_series_and_labels_of_real_services() -> None:
    known = {each.prometheus_name: each for each in SERIES}
    for name in (name for each in CAUSES for name in (*each.levels, *each.rates)):
        bare, labels = name.partition("{")[0], set(re.findall(r"(\w+)=", name)) - {"le"}
        each = known.get(bare) or known[re.sub(r"_(bucket|count)$", "", bare)]
        assert (each.kind == "histogram") == (bare not in known), name
        assert labels <= {label.replace(".", "_") for label in each.labels}, name
