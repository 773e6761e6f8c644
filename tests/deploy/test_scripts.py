"""The scripts for people explain themselves and refuse what they cannot do; what they do is for `make compose-test`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["deploy/verify.sh", "deploy/backup.sh", "deploy/restore.sh", "deploy/upgrade.sh"]


def run(*command: str, path: str = "") -> subprocess.CompletedProcess[str]:
    found = {"PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | found, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_describes_what_it_does(script: str) -> None:
    shown = run(script, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: {script}")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_refuses_arguments_that_it_does_not_know(script: str) -> None:
    wrong = run(script, "--nonsense", "twice")
    assert wrong.returncode == 2
    assert f"Usage: {script}" in wrong.stderr


def test_without_a_stack_nothing_is_verified(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    shown = run("deploy/verify.sh", path=str(tmp_path))
    assert shown.returncode == 2
    assert "docker compose up" in shown.stderr


def test_a_backup_never_writes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    refused = run("deploy/backup.sh", str(tmp_path))
    assert refused.returncode != 0
    assert not list(tmp_path.iterdir())


def test_a_backup_is_for_its_owner_alone_and_so_is_what_is_put_back(tmp_path: Path) -> None:
    """With a `docker` that answers as the stack does and unpacks here."""
    place = tmp_path / "volume"
    (place / "datasets/d").mkdir(parents=True)
    (place / "datasets/d/table.parquet").write_bytes(b"table")
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    script = f"""#!/bin/sh
case "$*" in
    *pg_dump*) echo dump ;;
    *-czf*) tar -C {place} -czf - datasets ;;
    *-xzf*) while [ "$1" != engine ]; do shift; done; shift; for last; do :; done
        if [ "$1" = sh ]; then sh -c "$(echo "$last" | sed s,/var/lib/cqox,{tmp_path}/back,)"
        else tar -C {tmp_path}/back -xzf -; fi ;;
    *) cat >/dev/null </dev/null ;;
esac
"""
    (tmp_path / "docker").write_text(script)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "back").mkdir()
    before = os.umask(0o022)
    try:
        saved = run("deploy/backup.sh", str(tmp_path / "saved"), path=str(tmp_path))
        assert saved.returncode == 0, saved.stderr
        put_back = run("deploy/restore.sh", str(tmp_path / "saved"), path=str(tmp_path))
        assert put_back.returncode == 0, put_back.stderr
    finally:
        os.umask(before)
    assert (tmp_path / "back/datasets/d/table.parquet").read_bytes() == b"table"
    for folder in (tmp_path / "saved", tmp_path / "back/datasets"):
        assert {oct(path.stat().st_mode & 0o077) for path in [folder, *folder.rglob("*")]} == {"0o0"}


def test_a_damaged_backup_is_refused_before_anything_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho called >> {tmp_path}/called\n")
    (tmp_path / "docker").chmod(0o755)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "results.dump").write_bytes(b"dump")
    (saved / "SHA256SUMS").write_text(f"{'0' * 64}  results.dump\n")
    assert run("deploy/restore.sh", str(saved), path=str(tmp_path)).returncode != 0
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ([], ["engine", "gateway", "gateway-replica"]),
        (["--back"], ["gateway", "gateway-replica", "engine"]),
    ],
)
def test_what_runs_is_replaced_one_after_another_and_nothing_else_is_touched(
    tmp_path: Path, given: list[str], order: list[str]
) -> None:
    log = tmp_path / "log"
    (tmp_path / "docker").write_text(f"""#!/bin/sh
case "$*" in
    *"ps --services"*) printf 'engine\\ngateway\\ngateway-replica\\npostgres\\n' ;;
    *"ps --quiet gateway-replica") printf '1\\n2\\n' ;;
    *"ps --quiet"*) echo 1 ;;
    *"config --images"*) printf 'cqox-engine:9\\npostgres:17\\ncqox-gateway:9\\n' ;;
    *"image inspect"*) echo "asked for $3" >>{log} ;;
    *) echo "$*" >>{log} ;;
esac
""")
    (tmp_path / "sleep").write_text(f"#!/bin/sh\necho sleep >>{log}\n")
    for each in ("docker", "sleep"):
        (tmp_path / each).chmod(0o755)
    done = run("deploy/upgrade.sh", *given, path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert lines[:2] == ["asked for cqox-engine:9", "asked for cqox-gateway:9"]
    assert [line.rpartition(" ")[2] for line in lines[2:]] == [
        order[0], "sleep", order[1], "sleep", order[2],
    ]  # fmt: skip
    started = [line for line in lines if " up " in line]
    assert all("--wait --no-deps --no-build" in line for line in started)
    assert any("--scale gateway-replica=2 gateway-replica" in line for line in started)


def test_nothing_is_replaced_by_an_image_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(f"""#!/bin/sh
case "$*" in
    *"ps --services"*) echo gateway ;;
    *"config --images"*) echo cqox-gateway:9 ;;
    *"image inspect"*) exit 1 ;;
    *) echo "$*" >>{tmp_path}/log ;;
esac
""")
    (tmp_path / "docker").chmod(0o755)
    done = run("deploy/upgrade.sh", path=str(tmp_path))
    assert done.returncode == 2
    assert "there is no image cqox-gateway:9" in done.stderr
    assert not (tmp_path / "log").exists()


def test_where_no_engine_can_run_the_reason_is_printed(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    shown = run("tests/deploy/compose_test.sh", "python", path=str(tmp_path))
    assert shown.returncode == 3, shown.stderr
    assert shown.stdout == "compose-test: NOT RUN: an engine of its own needs root\n"
