"""Free space, for which originals of uploads make way."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cqox.errors import StorageFull
from cqox.storage.ballast import Ballast
from cqox.storage.originals import Originals
from cqox.storage.room import Room


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A disk of 100 blocks of a byte, on which an original of 30 bytes lies."""
    state = SimpleNamespace(free=40)
    place = tmp_path / "datasets" / "a"
    place.mkdir(parents=True)
    (place / "original").write_bytes(b"o" * 30)

    def statvfs(_: object) -> SimpleNamespace:
        freed = 0 if (place / "original").exists() else 30
        return SimpleNamespace(f_bavail=state.free + freed, f_frsize=1, f_blocks=100)

    monkeypatch.setattr(os, "statvfs", statvfs)
    state.original = place / "original"
    ballast = SimpleNamespace(lacking_bytes=0)
    originals = Originals(lambda: [tmp_path / "datasets"], 1000)
    state.room = Room(tmp_path, reserve_bytes=2**30, ballast=ballast, dispensable=originals)
    state.small = Room(tmp_path, reserve_bytes=5, ballast=ballast, dispensable=originals)
    return state


def test_an_original_stays_while_there_is_room(disk: SimpleNamespace) -> None:
    disk.small.make(30)
    assert disk.original.exists()


def test_an_original_makes_way_for_what_would_not_fit(disk: SimpleNamespace) -> None:
    with pytest.raises(StorageFull):
        disk.small.check(50)
    disk.small.make(50)
    assert not disk.original.exists()


def test_nothing_is_removed_where_that_would_not_help(disk: SimpleNamespace) -> None:
    with pytest.raises(StorageFull):
        disk.small.make(90)
    with pytest.raises(StorageFull):
        disk.room.make()
    assert disk.original.exists()


def test_the_disk_is_checked_by_a_write(tmp_path: Path) -> None:
    room = Room(tmp_path, reserve_bytes=0, ballast=Ballast(tmp_path), dispensable=Originals(lambda: [tmp_path], 0))
    room.check_disk(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        room.check_disk(tmp_path / "gone")
