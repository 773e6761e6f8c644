import errno
import os
import stat
from pathlib import Path

import pytest

from cqox.storage.file_operations import link_or_copy, remove, stamp


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
