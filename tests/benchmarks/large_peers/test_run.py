import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _large
from benchmarks.large_peers import run


def test_a_run_prints_what_it_took_and_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        run, "_KINDS", {"econml": lambda table, name: lambda: {"by": table, "numbers": {name: [1.0, None]}}}
    )
    run.main(["econml", '["a.parquet"]', '["dml_plr"]'])
    found = json.loads(capsys.readouterr().out)
    assert found["by"] == "a.parquet"
    assert found["numbers"] == {"dml_plr": [1.0, None]}
    assert found["cpu"] >= 0
    assert found["wall"] >= 0
    assert found["mib"] > 10


def test_nothing_of_the_project_is_imported() -> None:
    # The environment of the peers has none of what the project needs.
    code = "import sys, benchmarks.large_peers.run; print([name for name in sys.modules if name.startswith('cqox')])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_peers_that_clash_run_in_their_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "{\\"by\\": \\"$2 $3\\", \\"numbers\\": {}}"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(_large, "OWN_PYTHON", python)
    assert _large.measured("duckreg", [], [])["by"] == "benchmarks.large_peers.run duckreg"
