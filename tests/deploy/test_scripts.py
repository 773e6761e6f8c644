"""The scripts for people explain themselves and refuse what they cannot do; what they do is for `make compose-test`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["deploy/verify.sh", "deploy/backup.sh", "deploy/restore.sh"]


def run(*command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    found = {"PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | found, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_tells_what_it_does(script: str) -> None:
    told = run(script, "--help")
    assert told.returncode == 0
    assert told.stdout.startswith(f"Usage: {script}")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_refuses_arguments_that_it_does_not_know(script: str) -> None:
    wrong = run(script, "--nonsense", "twice")
    assert wrong.returncode == 2
    assert f"Usage: {script}" in wrong.stderr


def test_without_a_stack_nothing_is_verified(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    told = run("deploy/verify.sh", path=str(tmp_path))
    assert told.returncode == 2
    assert "docker compose up" in told.stderr


def test_a_backup_never_writes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    refused = run("deploy/backup.sh", str(tmp_path))
    assert refused.returncode != 0
    assert not list(tmp_path.iterdir())


def test_a_damaged_backup_is_refused_before_anything_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho called >> {tmp_path}/called\n")
    (tmp_path / "docker").chmod(0o755)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "results.dump").write_bytes(b"dump")
    (saved / "SHA256SUMS").write_text(f"{'0' * 64}  results.dump\n")
    assert run("deploy/restore.sh", str(saved), path=str(tmp_path)).returncode != 0
    assert not (tmp_path / "called").exists()


def test_where_no_engine_can_run_the_reason_is_printed(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    told = run("tests/deploy/compose_test.sh", "python", path=str(tmp_path))
    assert told.returncode == 0, told.stderr
    assert told.stdout == "compose-test: NOT RUN: an engine of its own needs root\n"
