"""Files without a name: where the system has them, and where it does not."""

import os
import random
from pathlib import Path

import pytest

from cqox import nameless_files, randomness
from cqox.nameless_files import open_nameless


def without_system_support(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let `O_TMPFILE` fail as on a file system that does not know it; return the names that are opened instead."""
    names: list[Path] = []
    original = os.open

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        names.append(Path(path))
        return original(path, flags, mode)

    monkeypatch.setattr(nameless_files.os, "open", opened)
    return names


def test_what_is_written_is_read_and_the_folder_stays_empty(tmp_path: Path) -> None:
    with open_nameless(tmp_path) as file:
        file.write(b"content")
        file.seek(0)
        assert file.read() == b"content"
        assert not list(tmp_path.iterdir())


def test_a_file_system_without_nameless_files_gets_one_whose_name_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = without_system_support(monkeypatch)
    with open_nameless(tmp_path) as file:
        file.write(b"content")
        assert not list(tmp_path.iterdir())
    assert [name.parent for name in names] == [tmp_path]


def test_one_seed_gives_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = without_system_support(monkeypatch)
    for _ in range(2):
        with randomness.installed(random.Random(7)), open_nameless(tmp_path):
            pass
    assert names[0] == names[1]


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_nameless(tmp_path / "missing")


def test_a_name_that_cannot_be_taken_away_leaves_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_system_support(monkeypatch)
    before = len(os.listdir("/proc/self/fd"))

    def refused(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(nameless_files.os, "unlink", refused)
    with pytest.raises(PermissionError):
        open_nameless(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
