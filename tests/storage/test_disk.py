import errno
import os
from pathlib import Path

import pytest

from cqox.errors import StorageFull
from cqox.storage.disk import check_disk, check_room, exclusive_lock, is_disk_fault, unavailable, usable_directory


def said(number: int) -> str:
    return str(unavailable(OSError(number, os.strerror(number), "/data/secret/place")))


def test_a_disk_error_is_actionable_and_names_no_path() -> None:
    assert "is full" in said(errno.ENOSPC)
    assert "free space" in said(errno.EDQUOT)
    assert "is not writable (read-only file system)" in said(errno.EROFS)
    assert "Restart the engine" in said(errno.ENOENT)
    assert "cannot be used (too many open files)" in said(errno.EMFILE)
    for number in (errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EMFILE):
        assert "secret" not in said(number)


def test_a_full_or_read_only_disk_is_a_disk_fault_and_a_missing_file_is_not() -> None:
    assert all(is_disk_fault(OSError(number, "")) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))
    assert not any(is_disk_fault(OSError(number, "")) for number in (errno.ENOENT, errno.EMFILE))


def test_a_nearly_full_disk_is_reported_before_it_is_full(tmp_path: Path) -> None:
    check_disk(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(
        StorageFull, match=r"is nearly full: [\d.]+ [GT]iB are free and 4194304 TiB must stay free \(CQOX"
    ):
        check_disk(tmp_path, 2**62)
    with pytest.raises(OSError, match="No such file"):
        check_disk(tmp_path / "gone")


def test_an_unusable_directory_is_reported_in_one_line_with_path_and_setting(tmp_path: Path) -> None:
    usable_directory(tmp_path / "made" / "new", setting="CQOX_DATA_DIR")
    assert (tmp_path / "made" / "new").is_dir()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nope")):
        with pytest.raises(ValueError, match="choose a writable one with CQOX_DATA_DIR") as caught:
            usable_directory(folder, setting="CQOX_DATA_DIR")
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_full_disk_does_not_prevent_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    usable_directory(tmp_path / "new", setting="X")


def test_a_read_only_directory_is_usable_if_it_contains_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    with pytest.raises(ValueError, match="permission denied"):
        usable_directory(tmp_path, setting="X")
    (tmp_path / "datasets").mkdir()
    usable_directory(tmp_path, setting="X")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="permission denied"):
        usable_directory(tmp_path, setting="X")


def test_the_exclusive_lock_of_a_folder_has_one_holder(tmp_path: Path) -> None:
    import fcntl

    with exclusive_lock(tmp_path):
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_write_that_would_use_the_reserve_is_rejected_and_names_the_setting(tmp_path: Path) -> None:
    about = os.statvfs(tmp_path)
    free = about.f_bavail * about.f_frsize
    check_room(tmp_path, 0)
    check_room(tmp_path, free // 2, wanted_bytes=free // 4)
    for reserve, wanted in ((free // 2, free), (2 * free, 0)):
        with pytest.raises(
            StorageFull, match=r"must stay free \(CQOX_DISK_RESERVE_BYTES\). Delete data sets or analyses"
        ):
            check_room(tmp_path, reserve, wanted_bytes=wanted)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_does_not_open_the_circuit(number: int) -> None:
    assert isinstance(unavailable(OSError(number, "")), StorageFull)
    assert not isinstance(unavailable(OSError(errno.EROFS, "")), StorageFull)


def test_the_least_reserve_is_a_small_part_of_a_small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        f_bavail, f_blocks, f_frsize = 200, 1_000, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Small)
    check_room(tmp_path)
    with pytest.raises(
        StorageFull, match=r"does not have enough free space: .* are free, .* are to be written and .* must stay free"
    ):
        check_room(tmp_path, wanted_bytes=170 * 4096)
    with pytest.raises(StorageFull):
        check_room(tmp_path, 2**30)


@pytest.mark.parametrize(
    ("free_blocks", "ballast_bytes", "said"),
    [
        (0, 0, "is full: nothing is free and 3.2 MiB must stay free (CQOX_DISK_RESERVE_BYTES). Delete "),
        (1, 0, "is nearly full: 4 KiB are free and 3.2 MiB must stay free (CQOX_DISK_RESERVE_BYTES). Delete "),
        (
            *(900, 2**20),
            "3.5 MiB are free, 3.2 MiB must stay free (CQOX_DISK_RESERVE_BYTES) and 1 MiB are to be reserved for "
            "deletions. Delete data sets or analyses, or free space on that disk.",
        ),
    ],
)
def test_free_space_and_each_share_of_it_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_blocks: int, ballast_bytes: int, said: str
) -> None:
    blocks = 2**26 // 4096
    about = os.statvfs_result((4096, 4096, blocks, free_blocks, free_blocks, *tuple(os.statvfs(tmp_path))[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda _: about)
    with pytest.raises(StorageFull) as caught:
        check_room(tmp_path, ballast_bytes=ballast_bytes)
    assert said in str(caught.value)
