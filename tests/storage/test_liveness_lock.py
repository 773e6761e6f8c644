"""Liveness by a file lock. A lock of this process counts like that of another: each has its own open file."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cqox.storage.liveness_lock import LivenessLock

KILLED = """
import os, signal, sys, pathlib
from cqox.storage.liveness_lock import LivenessLock
LivenessLock(pathlib.Path(sys.argv[1]), "killed")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_owner_is_alive_until_it_closes_and_leaves_nothing(tmp_path: Path) -> None:
    one, other = LivenessLock(tmp_path / "locks"), LivenessLock(tmp_path / "locks")
    assert one.owner != other.owner
    assert other.is_alive(one.owner)
    assert other.known() == {one.owner, other.owner}
    assert list(other.dead_owners()) == []
    one.close()
    one.close()
    assert not other.is_alive(one.owner)
    assert other.known() == {other.owner}
    other.close()
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_killed_process_is_dead_until_one_other_forgets_it(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode < 0
    lock = LivenessLock(tmp_path, "me")
    try:
        assert not lock.is_alive("killed")
        assert lock.known() == {"killed", "me"}
        assert list(lock.dead_owners()) == list(lock.dead_owners()) == ["killed"]
        assert [lock.forget("killed"), lock.forget("killed")] == [True, False]
        assert list(lock.dead_owners()) == []
    finally:
        lock.close()


def test_an_unknown_name_is_neither_alive_nor_dead(tmp_path: Path) -> None:
    lock = LivenessLock(tmp_path)
    assert not lock.is_alive("nobody")
    assert "nobody" not in lock.dead_owners()
    lock.close()


def test_the_lock_file_is_private_and_an_unusable_folder_is_an_error(tmp_path: Path) -> None:
    lock = LivenessLock(tmp_path / "locks", "me")
    assert stat.S_IMODE((tmp_path / "locks").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "locks/me").stat().st_mode) == 0o600
    lock.close()
    (tmp_path / "file").touch()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="file"):
        LivenessLock(tmp_path / "file")
    assert len(os.listdir("/proc/self/fd")) == before
