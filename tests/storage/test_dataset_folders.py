import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cqox.errors import NotFound
from cqox.storage.ballast import Ballast
from cqox.storage.dataset_folders import TABLE, DatasetFolders
from cqox.storage.exchange import exchange
from cqox.storage.leftovers import Erasures
from cqox.storage.manifest import MANIFEST
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


def sealed_again(place: Path, name: str) -> None:
    """Exchange a folder for a copy of it, and remove a file of the former one, as a rekeying does."""
    other = place.parent.parent / "resealed"
    shutil.copytree(place, other)
    exchange(other, place)
    (other / name).unlink()


@pytest.mark.parametrize("name", [TABLE, f"{TABLE}.json", MANIFEST])
@pytest.mark.parametrize("call", ["listdir", "link"])
def test_a_folder_that_loses_its_place_while_it_is_linked_condemns_no_other(
    folders: DatasetFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    folder, place = tmp_path / "incoming", tmp_path / "datasets" / "a"
    folder.mkdir()
    for each in (TABLE, f"{TABLE}.json"):
        (folder / each).write_text(each)
    folders.keep(folder, place, a_dataset("a"), replace=False)
    real, calls = getattr(os, call), 0

    def interrupted(*given: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            sealed_again(place, name)
        return real(*given, **named)

    monkeypatch.setattr(os, call, interrupted)
    table = folders.link(place, tmp_path / "view", writable=True)
    assert table.read_text() == TABLE
    assert {path.name for path in table.parent.iterdir()} == {TABLE, f"{TABLE}.json", MANIFEST}
    assert folders.is_intact(place, place)


@pytest.mark.parametrize("name", [TABLE, MANIFEST])
def test_a_process_without_descriptors_condemns_no_data_set(
    folders: DatasetFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = kept(folders, tmp_path)
    real = Path.open

    def refused(path: Path, *given: Any, **named: Any) -> Any:
        if path.name == name:
            raise OSError(errno.EMFILE, "too many open files")
        return real(path, *given, **named)

    def read(path: Path) -> bytes:
        with refused(path, "rb") as file:
            return bytes(file.read())

    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(OSError, match="too many"):
        folders.link(place, tmp_path / "view", writable=True)
    monkeypatch.undo()
    assert folders.is_intact(place, place)
