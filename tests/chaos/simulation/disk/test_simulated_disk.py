"""A simulated disk that loses its power under programs that use a real folder as ever."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.fault_points import hooked
from cqox.file_sync import sync, sync_handle
from cqox.storage.exchange import exchange
from tests.chaos.simulation.disk.programs import Program, written


def test_what_was_synced_survives_and_what_was_not_is_lost(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "synced", b"content")
    (tmp_path / "file-only").write_bytes(b"no sync of its content")
    sync(tmp_path)
    written(tmp_path / "name-only", b"no sync of its folder")
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"synced": b"content", "file-only": b""}


def test_names_and_content_survive_apart_from_each_other(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"old")
    sync(tmp_path)
    (tmp_path / ".file").write_bytes(b"new")
    (tmp_path / ".file").rename(tmp_path / "file")
    program.disk.power_loss(names="kept", content="lost")
    assert program.found() == {"file": b""}


@pytest.mark.parametrize("names", ["kept", "lost"])
def test_a_rename_that_was_not_synced_is_undone_with_the_file_that_it_replaced(
    program: Program, tmp_path: Path, names: str
) -> None:
    written(tmp_path / "file", b"old")
    sync(tmp_path)
    written(tmp_path / ".file", b"new")
    sync(tmp_path)
    (tmp_path / ".file").rename(tmp_path / "file")
    program.disk.power_loss(names=names)  # type: ignore[arg-type]
    assert program.found() == ({"file": b"new"} if names == "kept" else {"file": b"old", ".file": b"new"})


def test_a_removal_that_was_not_synced_is_undone_also_of_a_whole_folder(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    written(tmp_path / "folder/below/file", b"content")
    for folder in ("folder/below", "folder", "."):
        sync(tmp_path / folder)
    shutil.rmtree(tmp_path / "folder")
    assert program.found() == {}
    program.disk.power_loss(names="lost")
    assert program.found() == {"folder": None, "folder/below": None, "folder/below/file": b"content"}


def test_a_removal_is_for_good_once_its_folder_is_synced(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"content")
    sync(tmp_path)
    (tmp_path / "file").unlink()
    sync(tmp_path)
    program.disk.power_loss(names="lost")
    assert program.found() == {}


def test_files_of_a_folder_whose_own_name_was_not_synced_are_lost_with_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder/file", b"content")
    sync(tmp_path / "folder")
    program.disk.power_loss(names="lost")
    assert program.found() == {}


def test_a_sync_of_one_of_two_folders_keeps_a_rename_between_them_whole(program: Program, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    written(tmp_path / "one/file", b"content")
    sync(tmp_path)
    (tmp_path / "one/file").rename(tmp_path / "other/file")
    sync(tmp_path / "other")
    program.disk.power_loss(names="lost")
    assert program.found() == {"one": None, "other": None, "other/file": b"content"}


def test_hard_links_stay_links_of_one_file(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"content")
    os.link(tmp_path / "file", tmp_path / "link")
    sync(tmp_path)
    for _ in range(2):
        program.disk.power_loss(names="lost", content="lost")
        assert program.found() == {"file": b"content", "link": b"content"}
        assert (tmp_path / "file").samefile(tmp_path / "link")
        program.name = "another"


def test_a_link_and_the_removal_of_the_first_name_are_followed_by_descriptor_of_the_folder(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder/file", b"content")
    folder = os.open(tmp_path / "folder", os.O_RDONLY)
    os.link("file", "link", src_dir_fd=folder, dst_dir_fd=folder)
    os.remove("file", dir_fd=folder)
    sync_handle(folder)
    os.close(folder)
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"folder": None, "folder/link": b"content"}


def test_a_file_that_is_overwritten_in_place_is_never_shorter_but_one_that_is_written_again_may_be(
    tmp_path: Path,
) -> None:
    def sizes(overwrite: Callable[[Path], object]) -> set[int]:
        found = set[int]()
        for seed in range(40):
            root = tmp_path / f"{overwrite.__name__}-{seed}"
            root.mkdir()
            program = Program(root, seed)
            with program.disk, hooked(program.disk.at_fault_point):
                written(root / "file", b"0003")
                sync(root)
                overwrite(root / "file")
                program.disk.power_loss()
            found.add((root / "file").stat().st_size)
        return found

    def in_place(path: Path) -> None:
        with open(path, "r+b") as file:
            file.write(b"0006")

    def again(path: Path) -> None:
        path.write_bytes(b"0006")

    def cut_off(path: Path) -> None:
        with open(path, "r+b") as file:
            os.ftruncate(file.fileno(), 2)
            file.write(b"0006")

    assert [sizes(in_place), sizes(again), sizes(cut_off)] == [{4}, {0, 4}, {2, 4}]


def test_symbolic_links_survive_or_do_not(program: Program, tmp_path: Path) -> None:
    (tmp_path / "kept").symlink_to("target")
    sync(tmp_path)
    (tmp_path / "lost").symlink_to("target")
    program.disk.power_loss(names="lost")
    program.name = "after"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert os.readlink(tmp_path / "kept") == "target"


@pytest.mark.parametrize("names", ["kept", "lost", "synced"])
def test_an_exchange_is_undone_or_stays(program: Program, tmp_path: Path, names: str) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        written(tmp_path / name / "file", name.encode())
        sync(tmp_path / name)
    sync(tmp_path)
    exchange(tmp_path / "one", tmp_path / "other")
    if names == "synced":
        sync(tmp_path)
    program.disk.power_loss(names="kept" if names == "kept" else "lost")
    one, other = (b"one", b"other") if names == "lost" else (b"other", b"one")
    assert program.found() == {"one": None, "one/file": one, "other": None, "other/file": other}


def test_files_that_other_code_than_python_wrote_are_found(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.system(f"echo content > {tmp_path}/folder/file; echo lost > {tmp_path}/folder/lost")
    sync(tmp_path / "folder/file")
    (tmp_path / "folder").rename(tmp_path / "place")
    sync(tmp_path / "place")
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"place": None, "place/file": b"content\n", "place/lost": b""}


def test_modes_and_times_survive(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(0o700)
    written(tmp_path / "folder/file", b"content")
    os.chmod(tmp_path / "folder/file", 0o600)
    for path in ("folder/file", "folder"):
        os.utime(tmp_path / path, (1000, 2000))
        sync(tmp_path / path)
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert [(tmp_path / path).stat().st_mtime for path in ("folder", "folder/file")] == [2000, 2000]
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("folder", "folder/file")] == [0o700, 0o600]


def test_with_a_journal_the_changes_that_survive_are_the_first_ones(tmp_path: Path) -> None:
    counts = set[int]()
    for seed in range(30):
        root = tmp_path / str(seed)
        root.mkdir()
        program = Program(root, seed, journal=True)
        with program.disk:
            for number in range(6):
                (root / str(number)).mkdir()
            program.disk.power_loss(content="kept")
        found = list(program.found())
        assert found == [str(number) for number in range(len(found))]
        counts.add(len(found))
    assert counts == set(range(7))


def test_without_a_journal_any_of_them_may_survive_but_what_they_depend_on_does_as_well(tmp_path: Path) -> None:
    outcomes = set[str]()
    for seed in range(60):
        root = tmp_path / str(seed)
        root.mkdir()
        program = Program(root, seed)
        with program.disk:
            (root / "a").mkdir()
            (root / "b").mkdir()
            (root / "b").rename(root / "c")
            program.disk.power_loss(content="kept")
        outcomes.add(" ".join(program.found()))
    assert outcomes == {"", "a", "b", "c", "a b", "a c"}


def test_with_a_journal_any_sync_keeps_all_changes_so_far(tmp_path: Path) -> None:
    program = Program(tmp_path, journal=True)
    with program.disk, hooked(program.disk.at_fault_point):
        (tmp_path / "folder").mkdir()
        written(tmp_path / "file", b"content")
        (tmp_path / "after").mkdir()
        program.disk.power_loss(names="lost")
    assert program.found() == {"file": b"content", "folder": None}


def test_changes_of_names_are_written_back_after_a_while(tmp_path: Path) -> None:
    program = Program(tmp_path, writeback=30.0)
    with program.disk:
        (tmp_path / "early").mkdir()
        program.now = 20.0
        (tmp_path / "late").mkdir()
        program.now = 31.0
        (tmp_path / "now").mkdir()
        program.disk.power_loss(names="lost")
    assert program.found() == {"early": None}


def test_opaque_files_survive_as_they_are(tmp_path: Path) -> None:
    program = Program(tmp_path, opaque=["*.sqlite3*"])
    with program.disk:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder/store.sqlite3-wal").write_bytes(b"log")
        (tmp_path / "folder/other").write_bytes(b"lost")
        program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"folder": None, "folder/store.sqlite3-wal": b"log"}


def test_the_same_seed_loses_the_same(tmp_path: Path) -> None:
    def after(seed: int, name: str) -> dict[str, bytes | None]:
        root = tmp_path / name
        root.mkdir()
        program = Program(root, seed)
        with program.disk:
            for number in range(8):
                (root / f"{number}").write_bytes(bytes([number + 1]) * 2000)
            program.disk.power_loss()
        return program.found()

    assert after(1, "a") == after(1, "b")
    assert after(1, "c") != after(2, "d")


def test_the_disk_can_lose_its_power_again(program: Program, tmp_path: Path) -> None:
    for turn in range(3):
        program.name = f"turn-{turn}"
        written(tmp_path / f"{turn}", b"kept")
        sync(tmp_path)
        (tmp_path / f"{turn}-lost").mkdir()
        program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"0": b"kept", "1": b"kept", "2": b"kept"}
