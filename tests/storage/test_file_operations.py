import errno
import os
import stat
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk import each_power_loss
from cqox.fault_points import hooked
from cqox.file_sync import sync
from cqox.storage.file_operations import link_or_copy, put_in_place, remove, stamp


def linked(folder: Path, name: str, target: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        link_or_copy(name, target, opened)
    finally:
        os.close(opened)


def test_a_stamp_changes_with_content_time_and_identity(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    stamps = [stamp(path)]
    assert stamp(path) == stamps[0]
    path.write_bytes(b"three")
    stamps.append(stamp(path))
    os.utime(path, ns=(0, 0))
    stamps.append(stamp(path))
    (tmp_path / "other").write_bytes(b"three")
    os.utime(tmp_path / "other", ns=(0, 0))
    (tmp_path / "other").replace(path)
    stamps.append(stamp(path))
    assert len(set(stamps)) == len(stamps)


def test_a_link_shares_the_file_and_does_not_replace_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    linked(tmp_path, "file", tmp_path / "link")
    assert (tmp_path / "link").samefile(tmp_path / "file")
    with pytest.raises(FileExistsError):
        linked(tmp_path, "file", tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        linked(tmp_path, "missing", tmp_path / "new")


def test_without_hard_links_the_file_is_copied_privately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "file").write_bytes(b"content")
    linked(tmp_path, "file", tmp_path / "copy")
    assert not (tmp_path / "copy").samefile(tmp_path / "file")
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        linked(tmp_path, "file", tmp_path / "copy")


def test_a_folder_is_removed_with_its_content_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "folder/below/file").touch()
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_file_takes_the_place_of_another_and_a_power_loss_leaves_one_of_them_whole(tmp_path: Path) -> None:
    for loss in each_power_loss(tmp_path, seeds=2):
        file, scratch = loss.root / "file", loss.root / ".file"
        with loss.running():
            file.write_bytes(b"old" * 1000)
            sync(file)
            sync(loss.root)
            loss.begin()
            scratch.write_bytes(b"new" * 1000)
            put_in_place(scratch, file)
        assert file.read_bytes() in ([b"new" * 1000] if loss.is_complete else [b"old" * 1000, b"new" * 1000]), loss


def test_a_folder_that_cannot_be_flushed_is_no_error_of_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_bytes(b"content")

    def refuse(name: str, handle: int) -> None:
        if name == "disk.sync" and os.path.samestat(os.fstat(handle), tmp_path.stat()):
            raise OSError(errno.EINVAL, "no flush of folders")

    with hooked(refuse):
        put_in_place(tmp_path / "scratch", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"
