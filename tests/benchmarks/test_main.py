"""The command line of the benchmarks; what they measure is not run here."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_can_be_run_and_runs_nothing(flag: str) -> None:
    done = benchmarks(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--page" in done.stdout
    for name in ("comprehensive", "estimators", "gateway", "stores"):
        assert f"\n  {name} " in done.stdout
    assert "  Speed of the estimators against peer libraries" in done.stdout


def test_what_does_not_exist_is_named_with_what_does() -> None:
    for arguments in (("nothing",), ("--page", "nothing")):
        done = benchmarks(*arguments)
        assert done.returncode == 2
        assert "no benchmark nothing; there are comprehensive, encryption, engines, estimators" in done.stderr
    assert benchmarks("--pages-all").returncode == 2
