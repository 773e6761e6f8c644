"""The runner of `make test`: flaky tests are named, and more than three fail the run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLAKY = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_flaky(number):
    mark = Path(__file__).with_name(f"ran{{number}}")
    ran = mark.exists()
    mark.touch()
    assert ran or number >= {failing}

def test_fixed():
    assert {always}
"""


def run(folder: Path, *, failing: int, always: bool = True, first: bool = True) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(FLAKY.format(count=6, failing=failing, always=always))
    arguments = [*(["--first"] if first else []), "-n0", "-q", "test_it.py"]
    command = [sys.executable, "-c", "import sys; from tests.run import main; sys.exit(main(sys.argv[1:]))", *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("failing", "status"), [(3, 0), (4, 1)])
def test_flaky_tests_are_named_and_more_than_three_fail(tmp_path: Path, failing: int, status: int) -> None:
    done = run(tmp_path, failing=failing)
    assert done.returncode == status, done.stdout
    named = done.stdout.partition("Flaky tests (failed once, then passed):")[2]
    assert [f"test_flaky[{number}]" in named for number in range(4)] == [
        0 < failing < 4 and number < failing for number in range(4)
    ]


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, failing=0, always=False)
    assert done.returncode == 1
    assert "Re-running failed tests once:\n  test_it.py::test_fixed" in done.stdout
    assert "Flaky" not in done.stdout


def test_flaky_tests_of_several_stages_count_together(tmp_path: Path) -> None:
    assert run(tmp_path, failing=2).returncode == 0
    for mark in tmp_path.glob("ran*"):
        mark.unlink()
    done = run(tmp_path, failing=2, first=False)
    assert done.returncode == 1
    named = done.stdout.partition("Flaky tests (failed once, then passed):")[2]
    assert named.count("test_flaky[0]") == 2


def test_workers_that_collect_different_tests_fail_at_once(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        'import os\nimport pytest\n\n@pytest.mark.parametrize("name", [os.getpid()])\ndef test_it(name): pass\n'
    )
    code = "import sys; from tests.run import main; sys.exit(main(['--first', '-n2', '-q', 'test_it.py']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Different tests were collected" in done.stdout
    assert done.returncode == 1
    assert "Re-running" not in done.stdout
