"""The space of the disks that an engine writes to."""

import os
from pathlib import Path

from cqox.analysis.disk_usage import DiskUsage


def test_two_folders_of_one_disk_are_one_disk(tmp_path: Path) -> None:
    usage = DiskUsage(tmp_path, tmp_path)
    assert usage.found == {}
    usage.look()
    assert list(usage.found) == ["data"]
    space = usage.found["data"]
    assert 0 <= space.free_bytes <= space.size_bytes
    assert space.size_bytes == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_temporary_files_on_another_disk_are_named(tmp_path: Path) -> None:
    usage = DiskUsage(tmp_path, Path("/proc"))
    usage.look()
    assert list(usage.found) == ["data", "temporary"]


def test_a_disk_that_is_missing_hides_no_other(tmp_path: Path) -> None:
    usage = DiskUsage(tmp_path / "gone", tmp_path)
    usage.look()
    assert list(usage.found) == ["temporary"]
