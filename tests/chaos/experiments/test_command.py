"""The command: its exit codes, what it says, and that Ctrl-C ends what was started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cqox.chaos.__main__ import main
from tests.chaos.experiments.test_reading import GOOD, written
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
SCRIPTED = "tests.chaos.experiments.test_command:scripted"
LYING = "tests.chaos.experiments.test_command:lying"


def scripted(experiment, folder):
    from tests.chaos.experiments.scripted import Scripted

    (folder / "engine-1.log").write_text("a line of the engine")
    return Scripted().open(experiment, folder)


def lying(experiment, folder):
    from tests.chaos.experiments.scripted import Scripted

    (folder / "engine-1.log").write_text("a line of the engine")
    return Scripted(lies=frozenset({"two-jobs"})).open(experiment, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "experiments"
    made.mkdir()
    load = "[load]\nper_second = 40\nmix = { analysis = 0.5, job = 0.5 }\n"
    text = GOOD.replace("[steady_state]", f"{load}[steady_state]\nseconds = 1").replace("seconds = 3", "seconds = 0.2")
    written(made, text.replace("at_least = 1", "at_least = 0"))
    return made


def ran(*arguments: object) -> int:
    return main(["experiments", *map(str, arguments)])


def test_files_are_checked_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("check", "--folder", folder) == 0
    assert "1 experiments, all of them well formed." in capsys.readouterr().out
    assert ran("list", "--folder", folder) == 0
    assert capsys.readouterr().out == "engine-killed  An engine is killed\n"


def test_what_is_wrong_is_2_with_the_file_and_the_field(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("run", "no-such", "--folder", folder) == 2
    assert "no experiment no-such" in capsys.readouterr().err
    assert ran("run", "--folder", folder, "--system", "tests") == 2
    assert "MODULE:FUNCTION" in capsys.readouterr().err
    assert ran("run", "--folder", folder, "--system", "tests.no_such:open") == 2
    written(folder, GOOD[: GOOD.index("[steady_state]")], "second.toml")
    assert ran("check", "--folder", folder) == 2
    assert "second.toml: steady_state: an experiment needs a steady state" in capsys.readouterr().err


def test_a_seed_that_is_no_number_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        ran("run", "--folder", folder, "--seed", "many")
    assert ended.value.code == 2


@pytest.mark.parametrize(("system", "status", "said"), [(SCRIPTED, 0, "held: well after"), (LYING, 1, "has two jobs")])
def test_the_exit_code_carries_the_result_and_logs_of_a_failure_are_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], system: str, status: int, said: str
) -> None:
    assert ran("run", "--folder", folder, "--system", system, "--report", tmp_path / "report") == status
    printed = capsys.readouterr().out
    assert "[1/1] engine-killed: An engine is killed\n  steady state, 1 s\n" in printed
    assert said in printed
    assert (tmp_path / "report" / "report.html").exists()
    kept = tmp_path / "report" / "logs" / "engine-killed" / "engine-1.log"
    assert kept.exists() is (status == 1)


def sleeping(experiment, folder):
    """A system with a process that nobody ends but the experiment."""
    from contextlib import asynccontextmanager

    from tests.chaos.experiments.scripted import Scripted

    def started():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["CHILD_FILE"]).write_text(str(child.pid))
        return child

    @asynccontextmanager
    async def opened():
        child = started()
        try:
            async with Scripted().open(experiment, folder) as system:
                yield system
        finally:
            child.kill()
            child.wait()

    return opened()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_what_was_started(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    child = tmp_path / "child"
    written(folder, GOOD.replace("[steady_state]", "[steady_state]\nseconds = 600"))
    command = [sys.executable, "-m", "cqox.chaos", "experiments", "run", "--folder", str(folder)]
    command += ["--report", str(tmp_path / "report"), "--system", "tests.chaos.experiments.test_command:sleeping"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "CHILD_FILE": str(child)}, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: child.exists() and child.read_text())
        assert process.stdout is not None
        # It is at work, and not about to start.
        while "steady state" not in (line := process.stdout.readline()):
            assert line, "it has ended"
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "what was started is ended" in printed
    assert not Path(f"/proc/{child.read_text()}").exists()
