"""An address of a store that cannot be read ends the start; a server that is away does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.ports import free_port


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ports = {"CQOX_ENGINE_PORT": str(free_port()), "CQOX_GATEWAY_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "CQOX_DATA_DIR": str(folder / "data"), **ports, **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("POSTGRES_URL", "nonsense"),
        ("POSTGRES_URL", "mysql://h/x"),
        ("POSTGRES_URL", "postgresql://h/d?colour=red"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://h/0?colour=red"),
    ],
)
def test_the_engine_ends_with_status_2_and_one_line(tmp_path: Path, variable: str, address: str) -> None:
    ended = run(tmp_path, "-m", "services.engine", **{variable: address})
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"engine: {variable} cannot be read: ")


def test_nothing_is_started_by_the_command_that_starts_both(tmp_path: Path) -> None:
    ended = run(tmp_path, "-c", "from services.cli import main; main()", "up", POSTGRES_URL="mysql://h/x")
    assert ended.returncode == 2
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert "POSTGRES_URL cannot be read" in line
