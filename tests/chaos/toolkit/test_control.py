"""The control in a process without what CQOx needs, as that of Chaos Toolkit is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys
from cqox.chaos.toolkit import control
assert "trio" not in sys.modules and "anyio" not in sys.modules
# What Chaos Toolkit gives to every function of a control.
given = json.load(open("deploy/chaos/toolkit/engine-killed.json"))["controls"][0]["provider"]["arguments"]
control.before_experiment_control(context={}, configuration={"state": sys.argv[1]}, **given)
print(open(sys.argv[1]).read() if sys.argv[2] == "starts" else "no system")
control.after_experiment_control(context={}, **given)
"""


@pytest.fixture
def fake(tmp_path: Path) -> dict[str, str]:
    """An environment whose first `python` notes what it was asked for, and serves until its input ends."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "given = sys.argv[1:]\n"
        "if os.environ['STARTS'] == 'yes':\n"
        "    open(given[given.index('--state') + 1], 'w').write(' '.join(given[:5]))\n"
        "    sys.stdin.read()\n"
        f"    open({str(tmp_path / 'ended')!r}, 'w')\n"
    )
    program.chmod(0o700)
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def ran(environment: dict[str, str], state: Path, starts: str) -> str:
    # Isolated but for the path: no packages of this environment.
    given = [sys.executable, "-S", "-c", PROGRAM, str(state), starts]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_the_system_is_started_before_and_ended_after(fake: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("of an earlier run")
    assert ran({**fake, "STARTS": "yes"}, state, "starts") == "-m cqox.chaos toolkit serve engine-killed"
    assert (tmp_path / "ended").exists()


def test_a_system_that_does_not_start_is_not_waited_for(fake: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("of an earlier run")
    assert ran({**fake, "STARTS": "no"}, state, "does not") == "no system"
    assert not state.exists()
