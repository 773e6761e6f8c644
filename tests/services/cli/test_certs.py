import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cqox.certificates import Credentials, current_version
from services.cli.certs import app


def certs(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "300"})


@pytest.mark.parametrize("command", ["init", "issue", "renew", "authority", "show"])
def test_every_command_has_help(command: str) -> None:
    done = certs(command, "--help")
    assert done.exit_code == 0
    assert "DIR" in done.stdout


def test_an_authority_and_the_two_services_are_made_by_one_command(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    done = certs("init", folder, "--host", "cqox.example.com", "--days", 30)
    assert done.exit_code == 0, done.output
    assert "gateway: spiffe://cqox/gateway, valid until 20" in done.stdout
    assert f"CQOX_TLS_DIR='{folder}/{{service}}'" in done.stdout
    for part in ("gateway", "engine"):
        assert Credentials(folder / part).current().identity == f"spiffe://cqox/{part}"
    shown = json.loads(certs("show", folder, "--json").stdout)
    assert [each["part"] for each in shown] == ["engine", "gateway"]
    assert shown[0]["names"] == ["engine", "localhost", "cqox.example.com", "127.0.0.1", "::1"]


def test_parts_and_domain_may_be_chosen_and_parts_added(tmp_path: Path) -> None:
    assert certs("init", tmp_path, "--name", "engine", "--domain", "prod.example").exit_code == 0
    assert certs("issue", tmp_path, "--name", "monitor", "--domain", "prod.example").exit_code == 0
    shown = json.loads(certs("show", tmp_path, "--json").stdout)
    assert [each["identity"] for each in shown] == ["spiffe://prod.example/engine", "spiffe://prod.example/monitor"]


def test_renewal_replaces_all_or_the_named(tmp_path: Path) -> None:
    certs("init", tmp_path)
    before = {part: current_version(tmp_path / part).folder for part in ("gateway", "engine")}
    done = certs("renew", tmp_path, "--name", "engine")
    assert done.exit_code == 0
    assert "pg_reload_conf" in done.stdout
    assert current_version(tmp_path / "gateway").folder == before["gateway"]
    assert current_version(tmp_path / "engine").folder != before["engine"]
    assert certs("renew", tmp_path, "--days", 1).exit_code == 0
    assert current_version(tmp_path / "gateway").folder != before["gateway"]
    assert Credentials(tmp_path / "gateway").current().half_life == 43_200


def test_the_authority_is_replaced_by_three_calls_each_of_which_names_the_next(tmp_path: Path) -> None:
    certs("init", tmp_path)
    for step in (1, 2, 3):
        done = certs("authority", tmp_path)
        assert done.exit_code == 0
        assert f"Step {step} of 3" in done.stdout
        assert ("cqox certs authority" in done.stdout) is (step < 3)
