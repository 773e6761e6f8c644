from pathlib import Path

from typer.testing import CliRunner

from services.cli.audit import app
from tests.services.cli.stores import given_to
from tests.storage.records import an_event

RUNNER = CliRunner()


def test_a_log_is_noted_exported_and_verified_on_the_command_line(tmp_path: Path) -> None:
    environment = {"CQOX_DATA_DIR": str(tmp_path)}
    given_to(tmp_path, "default", lambda store, _: store.append_audit([an_event(1)]))
    noted = RUNNER.invoke(app, ["head"], env=environment).stdout.strip()
    assert noted.startswith("default/1:")
    file = str(tmp_path / "log.jsonl")
    assert RUNNER.invoke(app, ["export", file, "--tenant", "default"], env=environment).exit_code == 0
    for arguments in ([], ["--file", file], ["--head", noted], ["--file", file, "--head", noted]):
        done = RUNNER.invoke(app, ["verify", *arguments], env=environment)
        assert (done.exit_code, "1 entry, unbroken" in done.stdout) == (0, True), arguments
    beyond = noted.replace("/1:", "/2:")
    assert RUNNER.invoke(app, ["verify", "--head", beyond], env=environment).exit_code == 1
