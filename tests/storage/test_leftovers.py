"""Leftovers of processes in a data directory, and markers of erased data sets."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.storage.leftovers import Erasures, sweep

DAY = 86_400


def aged(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def entries(root: Path, *names: str) -> list[Path]:
    """Make a folder with a file for each name."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "file").touch()
    return [root / name for name in names]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock forward: the change time of a file cannot be set back."""
    now = time.time()
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: now + seconds)


def test_an_erased_data_set_is_marked_until_it_is_uploaded_again(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path / "erased")
    assert erasures.all() == {}
    erasures.end("a")
    erasures.begin("a")
    erasures.begin("b")
    assert erasures.all().keys() == {"a", "b"}
    erasures.end("a")
    assert Erasures(tmp_path / "erased").all().keys() == {"b"}


def test_a_marker_has_its_age_from_the_last_erasure_and_is_removed_after_a_day(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path)
    for name, age in (("old", DAY + 60), ("young", DAY - 60)):
        erasures.begin(name)
        aged(tmp_path / name, age)
    found = erasures.all()
    assert found.keys() == {"young"}
    assert found["young"] >= DAY - 60
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
    erasures.begin("young")
    assert erasures.all()["young"] < DAY - 60


def test_old_entries_of_unknown_processes_are_removed_and_no_others(tmp_path: Path, later) -> None:
    left = entries(tmp_path, "incoming/living-1", "other/gone-1")
    swept = entries(tmp_path, "incoming/gone-2", "readers/gone")
    kinds = ["incoming", "readers", "missing"]
    later(DAY - 60)
    assert sweep(tmp_path, kinds, lambda: {"living"}, own="me") == 0
    later(DAY + 60)
    assert sweep(tmp_path, kinds, lambda: {"living"}, own="me") == 2
    assert all(path.exists() for path in left)
    assert not any(path.exists() for path in swept)


def test_own_deletions_that_failed_are_removed_after_ten_minutes(tmp_path: Path, later) -> None:
    (failed,) = entries(tmp_path, "removed/me-1")
    left = entries(tmp_path, "removed/you-1", "incoming/me-1")
    later(540)
    assert sweep(tmp_path, ["removed", "incoming"], lambda: {"me", "you"}, own="me") == 0
    later(660)
    assert sweep(tmp_path, ["removed", "incoming"], lambda: {"me", "you"}, own="me") == 1
    assert not failed.exists()
    assert all(path.exists() for path in left)


def test_the_living_are_asked_for_after_the_entries_are_listed(tmp_path: Path, later) -> None:
    entries(tmp_path, "incoming/old-1")
    later(2 * DAY)

    def known() -> set[str]:
        # A process that starts now, after the list was made.
        entries(tmp_path, "incoming/new-1")
        return set()

    assert sweep(tmp_path, ["incoming"], known, own="me") == 1
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["new-1"]
