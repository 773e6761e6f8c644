import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text

from cqox.certificates import Credentials
from services.cli.up import Output, up
from tests.servers.openbao import OpenBao


@pytest.fixture(autouse=True)
def not_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the umask of the tests alone."""
    monkeypatch.setattr("services.cli.up.become_private", lambda: None)


def test_lines_to_a_closed_pipe_are_dropped():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        output = Output(file=file)
        for _ in range(3):
            output.write_line(Text("a line"))
        assert output.quiet


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_lines_that_a_full_disk_does_not_take_are_dropped_and_later_ones_are_written(tmp_path: Path):
    with Path("/dev/full").open("w") as full, (tmp_path / "log").open("w+") as kept:
        output = Output(file=full)
        for _ in range(3):
            output.write_line(Text("lost"))
        os.dup2(kept.fileno(), full.fileno())
        # What the file itself still holds comes first.
        full.flush()
        before = kept.seek(0, os.SEEK_END)
        output.write_line(Text("kept"))
        kept.seek(before)
        assert kept.read() == "kept\n"


@pytest.mark.parametrize(
    ("variable", "value"), [("POSTGRES_URL", "mysql://x"), ("REDIS_URL", "http://x"), ("CQOX_GATEWAY_PORT", "many")]
)
def test_an_invalid_setting_ends_with_status_2_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv("CQOX_DATA_DIR", str(tmp_path / "data"))
    assert up(demo=False, overrides={variable: value}) == 2
    assert variable.removeprefix("CQOX_") in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_ends_with_status_1_and_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert up(demo=False, overrides={"CQOX_ENGINE_PORT": port, "CQOX_GATEWAY_PORT": "0"}) == 1
    out = capsys.readouterr().out
    assert port in out
    assert "--engine-port" in out


@pytest.mark.timeout(170)
def test_a_vault_issues_the_certificates_of_both_before_they_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bao, program = OpenBao(), None
    try:
        bao.start()
        bao.allow()
        bao.authority()
        role = bao.app_role(tmp_path / "role.json")
        given = {
            "CQOX_DATA_DIR": str(tmp_path / "data"),
            "CQOX_VAULT_ADDR": bao.url,
            "CQOX_VAULT_ROLE_FILE": str(role),
            "CQOX_VAULT_PKI_ROLE": "cqox",
            "CQOX_TLS_DIR": str(tmp_path / "tls" / "{service}"),
        }
        ports = {"CQOX_GATEWAY_PORT": "0", "CQOX_ENGINE_PORT": "0"}
        program = subprocess.Popen(
            [str(Path(sys.executable).parent / "cqox"), "up"],
            env={**os.environ, **given, **ports},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert program.stdout is not None
        with program.stdout as lines:
            assert any("Serving at https://" in line for line in lines)
            program.terminate()
            for _ in lines:
                continue
        assert program.wait(60) == 0
        for service in ("gateway", "engine"):
            identity = Credentials(tmp_path / "tls" / service).current().identity
            assert identity == f"spiffe://cqox/{service}"
        with bao.sealed():
            monkeypatch.setenv("CQOX_TLS_DIR", str(tmp_path / "other" / "{service}"))
            for variable in given.keys() - {"CQOX_TLS_DIR"}:
                monkeypatch.setenv(variable, given[variable])
            assert up(demo=False, overrides=ports) == 1
    finally:
        if program is not None and program.poll() is None:
            program.kill()
            program.wait(60)
        bao.close()
