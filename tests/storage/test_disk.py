import errno
import os
from pathlib import Path

import pytest

from cqox.errors import StorageFull
from cqox.storage.disk import alone, check_disk, check_room, is_disk_fault, unavailable, usable_directory


def said(number: int) -> str:
    return str(unavailable(OSError(number, os.strerror(number), "/data/secret/place")))


def test_a_failure_is_told_by_what_can_be_done_about_it_and_names_no_path() -> None:
    assert "is full" in said(errno.ENOSPC)
    assert "make room" in said(errno.EDQUOT)
    assert "cannot be written to (read-only file system)" in said(errno.EROFS)
    assert "started anew" in said(errno.ENOENT)
    assert "cannot be used (too many open files)" in said(errno.EMFILE)
    for number in (errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EMFILE):
        assert "secret" not in said(number)


def test_a_disk_is_at_fault_where_it_is_full_or_closed_and_not_where_something_is_missing() -> None:
    assert all(is_disk_fault(OSError(number, "")) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))
    assert not any(is_disk_fault(OSError(number, "")) for number in (errno.ENOENT, errno.EMFILE))


def test_a_disk_with_hardly_any_room_is_told_of_before_it_is_full(tmp_path: Path) -> None:
    check_disk(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(
        StorageFull, match=r"is nearly full: [\d.]+ [GT]iB are free and 4194304 TiB must stay free \(CQOX"
    ):
        check_disk(tmp_path, 2**62)
    with pytest.raises(OSError, match="No such file"):
        check_disk(tmp_path / "gone")


def test_a_directory_that_cannot_be_used_is_told_of_in_one_line_with_its_path_and_its_setting(tmp_path: Path) -> None:
    usable_directory(tmp_path / "made" / "anew", setting="CQOX_DATA_DIR")
    assert (tmp_path / "made" / "anew").is_dir()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nope")):
        with pytest.raises(ValueError, match="choose one that can be written to by CQOX_DATA_DIR") as caught:
            usable_directory(folder, setting="CQOX_DATA_DIR")
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_no_reason_not_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    usable_directory(tmp_path / "new", setting="X")


def test_a_directory_that_takes_no_writes_is_used_where_there_is_something_to_read(
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


def test_of_several_only_one_is_alone_with_a_folder(tmp_path: Path) -> None:
    import fcntl

    with alone(tmp_path):
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_what_would_take_the_reserve_of_the_disk_is_refused_and_the_reserve_is_named(tmp_path: Path) -> None:
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
def test_a_full_disk_is_no_outage_that_waiting_ends(number: int) -> None:
    assert isinstance(unavailable(OSError(number, "")), StorageFull)
    assert not isinstance(unavailable(OSError(errno.EROFS, "")), StorageFull)


def test_the_least_reserve_is_a_small_part_of_a_small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        f_bavail, f_blocks, f_frsize = 200, 1_000, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Small)
    check_room(tmp_path)
    with pytest.raises(
        StorageFull, match=r"has no room for that: .* are free, .* are to be written and .* must stay free"
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
            "3.5 MiB are free, 3.2 MiB must stay free (CQOX_DISK_RESERVE_BYTES) and 1 MiB are to be set aside for "
            "deletions. Delete data sets or analyses, or make room on that disk.",
        ),
    ],
)
def test_what_is_free_and_what_it_is_for_are_named_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_blocks: int, ballast_bytes: int, said: str
) -> None:
    blocks = 2**26 // 4096
    about = os.statvfs_result((4096, 4096, blocks, free_blocks, free_blocks, *tuple(os.statvfs(tmp_path))[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda _: about)
    with pytest.raises(StorageFull) as caught:
        check_room(tmp_path, ballast_bytes=ballast_bytes)
    assert said in str(caught.value)
