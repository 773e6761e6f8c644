from pathlib import Path

from typer.testing import CliRunner

from cqox.security import parse_key
from services.cli.keys import app

RUNNER = CliRunner()


def test_keys_are_made_listed_and_revoked_on_the_command_line(tmp_path: Path) -> None:
    environment = {"CQOX_DATA_DIR": str(tmp_path), "CQOX_AUTH": "keys"}
    made = RUNNER.invoke(app, ["create", "--role", "steward", "--name", "first", "--days", "30"], env=environment)
    key = parse_key(made.stdout.strip())
    assert key is not None
    assert key.key_id in made.stderr
    assert key.text not in made.stderr

    listed = RUNNER.invoke(app, ["list"], env=environment)
    assert listed.exit_code == 0
    assert (key.key_id in listed.stdout, key.text in listed.stdout) == (True, False)
    revoked = [RUNNER.invoke(app, ["revoke", key.key_id], env=environment).exit_code for _ in range(2)]
    assert revoked == [0, 1]

    other = RUNNER.invoke(app, ["create", "--role", "reader", "--tenant", "acme"], env=environment)
    assert (other.exit_code, "--new-tenant" in other.stderr) == (1, True)
    assert RUNNER.invoke(app, ["create", "--role", "root"], env=environment).exit_code == 2
