"""Verdicts of journals, and that a run is judged by its journal and not by the exit status of Chaos Toolkit."""

import json
import sys
from pathlib import Path

import pytest

from cqox.chaos.toolkit.journals import Expected, run_all, verdict


def activity(name: str = "healed", *, status: str = "succeeded", code: int = 0, said: str = "") -> dict:
    return {"activity": {"name": name}, "status": status, "output": {"status": code, "stdout": said, "stderr": ""}}


def journal(*run: dict, deviated: bool = False, status: str = "completed", steady: bool = True) -> dict:
    return {
        "status": status,
        "deviated": deviated,
        "run": list(run) or [activity()],
        "rollbacks": [activity("mend all")],
        "steady_states": {"before": {"steady_state_met": steady}},
    }


def test_completed_and_not_deviated_is_held() -> None:
    assert verdict(journal()) == ("held", "1 activities")


def test_deviated_says_what_was_found() -> None:
    found = verdict(journal(activity(code=1, said="holds: x\nFAILS: a job is lost\n"), deviated=True))
    assert found == ("deviated", "healed: FAILS: a job is lost")


@pytest.mark.parametrize(
    "content",
    [
        journal(status="aborted"),
        journal(status="interrupted", deviated=True),
        journal(steady=False),
        journal(activity(code=2, said="refused")),
        journal(activity(status="failed")),
        {**journal(), "rollbacks": [activity(code=1)]},
        {**journal(), "steady_states": None},
        {},
    ],
)
def test_all_else_is_failed(content: dict) -> None:
    assert verdict(content)[0] == "failed"


@pytest.fixture
def chaos(tmp_path: Path) -> Path:
    """A program that writes the journal that the experiment has in place of itself."""
    program = tmp_path / "chaos"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "given = sys.argv[1:]\n"
        "content = json.load(open(given[-1]))\n"
        "if 'validate' in given:\n"
        "    raise SystemExit('not valid' if content is None else 0)\n"
        "assert os.environ['PYTHONPATH'].split(':')[0] == '.'\n"
        "assert os.environ['CHAOS_STATE'].endswith('.state.json')\n"
        "if content is not None:\n"
        "    json.dump(content, open(given[given.index('--journal-path') + 1], 'w'))\n"
    )
    program.chmod(0o700)
    return program


def rendered(folder: Path, **contents: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_runs_are_as_expected_or_not(tmp_path: Path, chaos: Path) -> None:
    folder = rendered(tmp_path / "in", good=journal(), bad=journal(activity(code=1), deviated=True), none=None)
    out = tmp_path / "out"
    assert run_all(["good"], chaos, folder, out, Expected.HELD) == (["good: held: 1 activities"], True)
    assert run_all(["bad"], chaos, folder, out, Expected.DEVIATED)[1] is True
    assert run_all(["good", "bad"], chaos, folder, out, Expected.HELD)[1] is False
    assert run_all(["good"], chaos, folder, out, Expected.DEVIATED)[1] is False


def test_the_journal_of_an_earlier_run_is_none_of_this_one(tmp_path: Path, chaos: Path) -> None:
    out = tmp_path / "out"
    run_all(["a"], chaos, rendered(tmp_path / "in", a=journal()), out, Expected.HELD)
    lines, held = run_all(["a"], chaos, rendered(tmp_path / "in", a=None), out, Expected.HELD)
    assert (lines, held) == (["a: failed: no journal"], False)


def test_all_files_are_validated(tmp_path: Path, chaos: Path) -> None:
    folder = rendered(tmp_path / "in", a={}, b={})
    assert run_all([], chaos, folder, tmp_path / "out", Expected.HELD) == (["2 of 2 files are valid"], True)
    lines, held = run_all([], chaos, rendered(tmp_path / "in", b=None), tmp_path / "out", Expected.HELD)
    assert (lines[-1], held) == ("1 of 2 files are valid", False)
    assert "not valid" in lines[0]
    assert run_all([], chaos, tmp_path / "nothing", tmp_path / "out", Expected.HELD)[1] is False
