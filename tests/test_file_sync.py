import os
from pathlib import Path

import pytest

from cqox.fault_points import hooked
from cqox.file_sync import sync, sync_handle


def test_files_and_folders_are_flushed_and_a_missing_one_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append((os.fstat(handle).st_dev, os.fstat(handle).st_ino)))
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        sync(path)
        assert flushed[-1] == (path.stat().st_dev, path.stat().st_ino)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "missing")


def test_a_hook_meets_a_flush_before_and_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: met.append("flushed"))
    with hooked(lambda name, *_: met.append(name)):
        sync(tmp_path)
    assert met == ["disk.sync", "flushed", "disk.synced"]


def test_a_refused_flush_does_not_count_as_one_and_leaves_no_descriptor(tmp_path: Path) -> None:
    met: list[str] = []

    def refuse(name: str, *_: object) -> None:
        met.append(name)
        raise OSError("refused")

    before = os.listdir("/proc/self/fd")
    with hooked(refuse), pytest.raises(OSError, match="refused"):
        sync(tmp_path)
    assert met == ["disk.sync"]
    assert os.listdir("/proc/self/fd") == before


def test_an_open_file_is_flushed_by_its_descriptor(tmp_path: Path) -> None:
    met: list[tuple[object, ...]] = []
    with open(tmp_path / "file", "wb") as file, hooked(lambda *point: met.append(point)):
        file.write(b"content")
        file.flush()
        sync_handle(file.fileno())
        assert met == [("disk.sync", file.fileno()), ("disk.synced", file.fileno())]


def test_nothing_else_flushes_since_a_simulated_disk_would_not_know_of_it() -> None:
    root = Path(__file__).parents[1]
    modules = [path for package in ("cqox", "services") for path in (root / package).rglob("*.py")]
    found = [path.name for path in modules if "os.fsync(" in path.read_text(encoding="utf-8")]
    assert found == ["file_sync.py"]
