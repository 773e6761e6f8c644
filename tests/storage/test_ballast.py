import os
from pathlib import Path

import pytest

from cqox.storage.ballast import BALLAST_BYTES, Ballast


def test_the_ballast_is_created_once_and_dropped_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ballast = Ballast(tmp_path)
    assert ballast.drop() is False
    ballast.restore()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= BALLAST_BYTES
    before = file.stat().st_ino
    ballast.restore()
    assert file.stat().st_ino == before
    assert ballast.drop() is True
    assert ballast.drop() is False
    assert list(tmp_path.iterdir()) == []
    assert sum("used now" in message for message in caplog.messages) == 1


def test_the_ballast_is_not_created_on_a_nearly_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = os.statvfs(tmp_path)
    small = os.statvfs_result((about.f_bsize, 4096, 1000, 500, 3 * BALLAST_BYTES // 4096, *tuple(about)[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    Ballast(tmp_path).restore()
    assert list(tmp_path.iterdir()) == []


def test_a_ballast_that_cannot_be_written_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        Ballast(tmp_path).restore()
    assert list(tmp_path.iterdir()) == []
