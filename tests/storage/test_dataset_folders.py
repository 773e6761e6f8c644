from pathlib import Path

import pytest

from cqox.errors import NotFound
from cqox.storage.ballast import Ballast
from cqox.storage.dataset_folders import TABLE, DatasetFolders
from cqox.storage.leftovers import Erasures
from cqox.storage.sealing import TenantSealing
from tests.storage.records import a_dataset


@pytest.fixture
def folders(tmp_path: Path, sealing: TenantSealing) -> DatasetFolders:
    for name in ("datasets", "removed"):
        (tmp_path / name).mkdir()
    erasures = Erasures(tmp_path / "erased")
    return DatasetFolders(tmp_path / "removed", "me", ballast=Ballast(tmp_path), erasures=erasures, sealing=sealing)


def kept(folders: DatasetFolders, root: Path, content: str = "x") -> Path:
    folder, place = root / "incoming", root / "datasets" / "a"
    folder.mkdir()
    (folder / TABLE).write_text(content)
    folders.keep(folder, place, a_dataset("a"), replace=False)
    return place


def test_stamps_of_verified_files_are_dropped_with_their_data_set(folders: DatasetFolders, tmp_path: Path) -> None:
    place = kept(folders, tmp_path)
    folders.link(place, tmp_path / "view", writable=True)
    assert "a" in folders._verified
    folders.delete(place)
    assert not folders._verified


def test_files_in_place_stay_and_the_new_ones_are_removed(folders: DatasetFolders, tmp_path: Path) -> None:
    place = kept(folders, tmp_path, "first")
    kept(folders, tmp_path, "second")
    assert (place / TABLE).read_text() == "first"
    assert not (tmp_path / "incoming").exists()


def test_a_data_set_without_its_table_is_replaced(folders: DatasetFolders, tmp_path: Path) -> None:
    place = kept(folders, tmp_path, "first")
    (place / TABLE).unlink()
    kept(folders, tmp_path, "second")
    assert (place / TABLE).read_text() == "second"
    assert not list((tmp_path / "removed").iterdir())


def test_a_view_is_readable_after_a_deletion(folders: DatasetFolders, tmp_path: Path) -> None:
    place = kept(folders, tmp_path)
    table = folders.link(place, tmp_path / "view", writable=True)
    folders.delete(place)
    assert table.read_text() == "x"
    with pytest.raises(NotFound):
        folders.link(place, tmp_path / "other", writable=True)


def test_damaged_files_are_removed_and_not_read(folders: DatasetFolders, tmp_path: Path) -> None:
    place = kept(folders, tmp_path)
    (place / TABLE).write_text("y")
    assert not folders.is_intact(place, place)
    with pytest.raises(NotFound):
        folders.link(place, tmp_path / "view", writable=True)
    assert not place.exists()
