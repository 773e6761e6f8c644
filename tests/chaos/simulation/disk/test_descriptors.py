import fcntl
import os
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk.descriptors import Descriptors


def opened(descriptors: Descriptors, owner: str, path: Path) -> int:
    descriptors.expect(owner)
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_descriptors_of_one_process_write_nowhere_and_lock_nothing_after_their_release(tmp_path: Path) -> None:
    descriptors = Descriptors(lambda path: path.startswith(str(tmp_path)))
    mine, other = opened(descriptors, "one", tmp_path / "mine"), opened(descriptors, "other", tmp_path / "other")
    for descriptor in (mine, other):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    (tmp_path / "mine").rename(tmp_path / "moved")
    descriptors.release("one")
    for descriptor in (mine, other):
        os.write(descriptor, b"content")
        os.close(descriptor) if descriptor == mine else None
    assert ((tmp_path / "moved").read_bytes(), (tmp_path / "other").read_bytes()) == (b"", b"content")
    with open(tmp_path / "moved") as free, open(tmp_path / "other") as taken:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_all_descriptors_in_the_folder_are_released_also_those_of_removed_files(tmp_path: Path) -> None:
    descriptors = Descriptors(lambda path: path.startswith(f"{tmp_path}/in/"))
    (tmp_path / "in").mkdir()
    inside, outside = (
        os.open(tmp_path / "in/a", os.O_RDWR | os.O_CREAT),
        os.open(tmp_path / "b", os.O_RDWR | os.O_CREAT),
    )
    os.remove(tmp_path / "in/a")
    descriptors.release_all()
    assert os.readlink(f"/proc/self/fd/{inside}") == os.devnull
    assert os.readlink(f"/proc/self/fd/{outside}") == str(tmp_path / "b")
    os.close(inside)
    os.close(outside)


def test_no_descriptor_stays_open_for_the_bookkeeping(tmp_path: Path) -> None:
    descriptors = Descriptors(lambda path: path.startswith(str(tmp_path)))
    before = len(os.listdir("/proc/self/fd"))
    os.close(opened(descriptors, "one", tmp_path / "a"))
    descriptors.release("one")
    descriptors.release_all()
    assert len(os.listdir("/proc/self/fd")) == before
