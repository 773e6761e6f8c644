import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.waiting import PATIENCE_SECONDS


def run(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "cqox"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_the_module_runs_without_the_services():
    code = "import sys; sys.modules['services'] = None; from cqox.__main__ import main; main()"
    done = run("explain", "CANARY", code=code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("CANARY (verdict)")


def test_without_its_packages_it_says_how_they_are_installed():
    code = "import sys; sys.modules['typer'] = None; from cqox.__main__ import main; main()"
    done = run("explain", code=code)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "python -m cqox needs typer, which is not installed: pip install 'cqox[engine]'\n"


@pytest.mark.parametrize("arguments", [("--version",), ("nothing",)])
def test_the_version_is_printed_and_a_wrong_command_is_refused(arguments: tuple[str, ...]):
    done = run(*arguments)
    if arguments == ("--version",):
        assert (done.returncode, done.stdout) == (0, f"cqox {version('cqox')}\n")
    else:
        assert done.returncode == 2
