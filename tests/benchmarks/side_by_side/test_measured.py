"""The scripts of CQOx in the tasks run, and answer what the page says that they answer."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.side_by_side import measured
from benchmarks.side_by_side.measured import code, measure
from benchmarks.side_by_side.tasks import TASKS

VERDICTS = {"trial": "GO", "observational": "HOLD", "heterogeneity": "GO", "refutation": "GO", "series": "HOLD"}


@pytest.mark.parametrize("name", [task.name for task in TASKS])
def test_cqox_answers_what_the_page_says(name: str) -> None:
    found = measure(f"{name}_cqox", Path(sys.executable), runs=1)
    assert f"Verdict: {VERDICTS[name]} on " in found.printed
    assert found.lines == len([line for line in code(f"{name}_cqox").splitlines() if line])
    assert found.seconds > 0.1
    assert found.cpu > 0.1


def test_a_script_that_fails_is_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(measured, "_SCRIPTS", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        measure("broken", Path(sys.executable), runs=1)
