"""`serve` and `ask` as processes, as Chaos Toolkit starts them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.chaos.__main__ import main
from tests.chaos.experiments.test_reading import GOOD, written
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
SCRIPTED = "tests.chaos.toolkit.test_command:scripted"


def scripted(experiment, folder):
    from tests.chaos.experiments.scripted import Scripted

    return Scripted().open(experiment, folder)


def unusable(experiment, folder):
    from tests.chaos.experiments.scripted import Scripted

    return Scripted(unusable="there is no such server here").open(experiment, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "experiments"
    made.mkdir()
    written(made, GOOD.replace("[steady_state]", "[steady_state]\nseconds = 1"))
    return made


def command(folder: Path, state: Path, system: str = SCRIPTED) -> list[str]:
    start = [sys.executable, "-m", "cqox.chaos", "toolkit", "serve", "engine-killed", "--folder", str(folder)]
    return [*start, "--state", str(state), "--system", system]


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    state = tmp_path / "state.json"
    process = subprocess.Popen(command(folder, state), cwd=ROOT, stdin=subprocess.PIPE)
    try:
        wait_until(state.exists)
        yield process, state
    finally:
        process.kill()
        process.stdin.close()
        process.wait(30)


def asked(state: Path, *request: str, name: str = "engine-killed") -> int:
    return main(["toolkit", "ask", name, *request, "--state", str(state)])


def test_a_system_is_asked_and_broken_and_ends_with_its_starter(
    served: tuple[subprocess.Popen, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    process, state = served
    assert asked(state, "steady") == 0
    assert "holds: steady: goodput" in capsys.readouterr().out
    assert asked(state, "break", "1") == 0
    assert asked(state, "break", "1") == 1
    assert "fault 1 has begun" in capsys.readouterr().out
    socket = json.loads(state.read_text())["socket"]
    process.stdin.close()
    assert process.wait(30) == 0
    assert not state.exists()
    assert not Path(socket).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(served: tuple[subprocess.Popen, Path], number: signal.Signals) -> None:
    process, state = served
    os.kill(process.pid, number)
    assert process.wait(30) == 0
    assert not state.exists()


def test_what_is_not_ours_is_refused(
    served: tuple[subprocess.Popen, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, state = served
    assert asked(state, "break", "1", name="vault-sealed") == 2
    assert "it is the system of engine-killed" in capsys.readouterr().err
    content = json.loads(state.read_text())
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps({**content, "pid": os.getpid()}))
    assert asked(forged, "break", "1") == 2
    assert "is not touched" in capsys.readouterr().err
    assert asked(tmp_path / "none.json", "break", "1") == 2


def test_a_system_that_cannot_be_had_here_is_2(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    given = command(folder, state, "tests.chaos.toolkit.test_command:unusable")
    done = subprocess.run(given, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "NOT RUN: there is no such server here" in done.stdout
    assert not state.exists()


def test_a_wrong_name_or_system_is_2(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest = ["--folder", str(folder), "--state", str(tmp_path / "state.json")]
    assert main(["toolkit", "serve", "no-such", *rest]) == 2
    assert "no-such.toml" in capsys.readouterr().err
    assert main(["toolkit", "serve", "engine-killed", *rest, "--system", "tests"]) == 2
    assert "MODULE:FUNCTION" in capsys.readouterr().err
