"""Scenes stage every alert, each by a cause in real processes."""

from deploy.prometheus.alerts import ALERTS
from tests.alerts.scenes import PLACES, SCENES, words_of


def test_every_alert_is_staged_and_the_watchdog_with_each_of_them() -> None:
    staged = {name for scene in SCENES for name in scene.alerts}
    assert staged | {"Watchdog"} == {each.name for each in ALERTS}


def test_every_scene_has_a_place_and_a_cause_in_words_of_its_own() -> None:
    assert {scene.place for scene in SCENES} == set(PLACES)
    assert len({scene.cause for scene in SCENES}) == len(SCENES)
    words = [words_of(scene) for scene in SCENES]
    assert all(words)
    assert len(set(words)) == len(words)
