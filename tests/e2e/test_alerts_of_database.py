"""Alerts of a PostgreSQL that refuses writes, at a fortieth of their times."""

from pathlib import Path

from tests.alerts.database import database
from tests.alerts.scenes import SCENES

_FACTOR = 40.0


def test_alerts_fire_in_time_name_their_runbook_and_resolve(tmp_path: Path) -> None:
    [scene] = [each for each in SCENES if each.cause == "read_only"]
    with database(tmp_path, factor=_FACTOR) as place:
        staged = scene.staged_in(place)
    # Who repairs the store hears as well that a restart of the engine would lose reports.
    assert [each.alert.name for each in staged] == ["CqoxStoreFailing", "CqoxReportsUnstored"]
    assert all(each.is_in_time for each in staged), staged
