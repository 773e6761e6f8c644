"""An exercise of a game day that went as it had to, and one that did not."""

import pytest

from tests.alerts.staging import named
from tests.game_day.exercises import EXERCISES, Exercise, Expected, Held, Notified
from tests.game_day.site import Site

DOWN = Expected(alert="CqoxDown", receiver="page", at_most=120.0, fired=80.0, resolved=60.0)
LATE = Expected(alert="CqoxDown", receiver="page", at_most=120.0, fired=121.0, resolved=60.0)
ABSENT = Expected(alert="CqoxDown", receiver="page", at_most=120.0, fired=None, resolved=None)
LEFT = Expected(alert="CqoxDown", receiver="page", at_most=120.0, fired=80.0, resolved=None)
PAGE = Notified(alert="CqoxDown", receiver="page", status="firing", summary="", seconds=80.0)


def held(expected: Expected, *notified: Notified, exercise: Exercise = EXERCISES[0]) -> Held:
    return Held(exercise=exercise, expected=[expected], notified=notified, fault_seconds=90.0, quiet=100.0, well=3.0)


@pytest.mark.parametrize("expected", [LATE, ABSENT, LEFT], ids=["late", "absent", "left"])
def test_an_alert_that_is_late_or_absent_or_never_resolved_is_a_failure(expected: Expected) -> None:
    assert held(DOWN).is_well
    assert not held(expected).is_well


def test_a_page_is_a_failure_where_nobody_may_be_woken() -> None:
    quiet = next(each for each in EXERCISES if not each.pages)
    assert held(DOWN, exercise=quiet).is_well
    assert held(DOWN, PAGE, PAGE).pages == ["CqoxDown"]
    assert not held(DOWN, PAGE, exercise=quiet).is_well


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.name)
def test_an_exercise_names_a_fault_and_alerts_that_there_are(exercise: Exercise) -> None:
    assert callable(getattr(Site, exercise.name))
    severities = {named(each).severity for each in exercise.alerts}
    assert ("page" in severities) == exercise.pages
