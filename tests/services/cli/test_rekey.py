"""`cqox rekey` in a process; what it does to stored data is tested on whole services and in the library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cqox.storage import DataDirectory


def rekey(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("cqox"), "rekey", *arguments]
    settings = {"CQOX_DATA_DIR": str(folder / "data"), **environment}
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60)


def test_an_empty_directory_is_sealed_and_marked(tmp_path: Path) -> None:
    done = rekey(tmp_path, CQOX_KEYS="file")
    assert (done.returncode, done.stdout) == (0, "default: 0 data sets and 0 rows written again.\n")
    assert {"sealed", "keyring.json"} <= {path.name for path in (tmp_path / "data").iterdir()}
    assert rekey(tmp_path, "--plain", CQOX_KEYS="file").returncode == 0
    assert not (tmp_path / "data" / "sealed").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        ((), {}, "CQOX_KEYS is none"),
        (("--rotate", "--plain"), {"CQOX_KEYS": "file"}, "choose one"),
        (("--rotate",), {"CQOX_KEYS": "file", "CQOX_KEY_RING": "/missing/ring.json"}, "cannot be written"),
        ((), {"CQOX_KEYS": "file", "CQOX_OBJECT_STORE": "s3://bucket"}, "needs CQOX_KEY_RING"),
    ],
)
def test_a_wrong_setting_says_what_to_change(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    done = rekey(tmp_path, *arguments, **environment)
    assert done.returncode in (1, 2)
    assert reason in done.stderr


def test_another_ring_changes_nothing(tmp_path: Path) -> None:
    assert rekey(tmp_path, CQOX_KEYS="file").returncode == 0
    other = tmp_path / "other.json"
    for arguments in ((), ("--rotate",), ("--plain",)):
        done = rekey(tmp_path, *arguments, CQOX_KEYS="file", CQOX_KEY_RING=str(other))
        assert done.returncode == 1
        assert "no longer has" in done.stderr
    assert not other.exists()
    assert rekey(tmp_path, CQOX_KEYS="file").returncode == 0


def test_what_a_killed_engine_has_left_in_plain_text_is_removed(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    (directory.within("default").incoming() / "table.parquet").write_bytes(b"zanzibar")
    # The kernel does this for a process that was killed; `close` would remove the files.
    assert directory._liveness is not None
    os.close(directory._liveness._handle)
    assert rekey(tmp_path, CQOX_KEYS="file").returncode == 0
    assert list((tmp_path / "data" / "incoming").iterdir()) == []
