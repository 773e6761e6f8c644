import os
from pathlib import Path

from cqox.chaos.simulation.disk.live_names import LiveNames
from cqox.chaos.simulation.disk.namespace import Namespace
from cqox.chaos.simulation.disk.operations import Operation
from cqox.chaos.simulation.disk.tree import read_tree


def followed(root: Path) -> tuple[LiveNames, Namespace]:
    names = Namespace(read_tree(str(root), lambda _: False))
    return LiveNames(str(root), names, lambda path: path.endswith(".sqlite3"), lambda: 0.0), names


def visible(names: Namespace) -> list[str]:
    return [path for path, _ in names.paths()]


def test_an_operation_counts_once_it_has_happened(tmp_path: Path) -> None:
    live, names = followed(tmp_path)
    live.begin(Operation("make_folder", f"{tmp_path}/folder"))
    assert visible(names) == []
    (tmp_path / "folder").mkdir()
    live.settle()
    assert visible(names) == ["folder"]
    live.begin(Operation("rename", f"{tmp_path}/folder", f"{tmp_path}/moved"))
    (tmp_path / "folder").rename(tmp_path / "moved")
    live.settle()
    assert visible(names) == ["moved"]
    live.begin(Operation("remove_folder", f"{tmp_path}/moved"))
    (tmp_path / "moved").rmdir()
    live.settle()
    assert visible(names) == []


def test_an_operation_that_failed_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    live, names = followed(tmp_path)
    for operation in (
        Operation("make_folder", f"{tmp_path}/missing/folder"),
        Operation("create", f"{tmp_path}/never"),
        Operation("remove", f"{tmp_path}/file"),
        Operation("rename", f"{tmp_path}/file", f"{tmp_path}/other"),
        Operation("rename", f"{tmp_path}/missing", f"{tmp_path}/file"),
        Operation("link", f"{tmp_path}/file", f"{tmp_path}/link"),
        Operation("link", "/elsewhere", f"{tmp_path}/link"),
    ):
        live.begin(operation)
        live.settle()
        live.settle()
    assert (visible(names), names.changes) == (["file"], 0)


def test_a_removed_file_keeps_its_content_and_a_replaced_one_as_well(tmp_path: Path) -> None:
    for name in ("removed", "replaced", "new"):
        (tmp_path / name).write_bytes(name.encode())
    live, names = followed(tmp_path)
    removed, replaced = names.find(["removed"]), names.find(["replaced"])
    assert removed is not None
    assert replaced is not None
    live.begin(Operation("remove", f"{tmp_path}/removed"))
    os.remove(tmp_path / "removed")
    live.settle()
    live.begin(Operation("rename", f"{tmp_path}/new", f"{tmp_path}/replaced"))
    os.replace(tmp_path / "new", tmp_path / "replaced")
    live.settle()
    assert (removed.last, replaced.last) == (b"removed", b"replaced")
    assert visible(names) == ["replaced"]


def test_a_folder_is_compared_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    live, names = followed(tmp_path)
    (tmp_path / "gone").rmdir()
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / "a/store.sqlite3").touch()
    os.mkfifo(tmp_path / "pipe")
    live.discover(str(tmp_path))
    assert visible(names) == ["a"]
    live.discover(str(tmp_path), deep=True)
    assert visible(names) == ["a", "a/b", "a/b/file"]
    live.discover("/elsewhere")
    live.discover(str(tmp_path / "missing/folder"))
    assert visible(names) == ["a", "a/b", "a/b/file"]


def test_a_file_that_is_not_known_is_found_below_folders_that_are_not_known(tmp_path: Path) -> None:
    live, names = followed(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    live.discover(str(tmp_path / "a/b"))
    assert visible(names) == ["a", "a/b", "a/b/file"]


def test_two_paths_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).touch()
    live, names = followed(tmp_path)
    one, other = names.find(["one"]), names.find(["other"])
    live.exchanged(f"{tmp_path}/one", f"{tmp_path}/other")
    assert (names.find(["one"]), names.find(["other"])) == (other, one)
    live.exchanged("/elsewhere/one", f"{tmp_path}/other")
    assert live.node(f"{tmp_path}/other") is one
