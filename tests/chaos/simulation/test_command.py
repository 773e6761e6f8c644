import subprocess
import sys
from pathlib import Path

import pytest

from cqox.chaos.simulation.command import parse_seeds

SYSTEM = ["--system", "tests.chaos.simulation.toy:broken"]


def simulate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cqox.chaos", "simulate", *SYSTEM, "--folder", str(cwd / "kept"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_seeds_are_numbers_and_ranges() -> None:
    assert parse_seeds("7") == [7]
    assert parse_seeds("1, 5,10-12,11") == [1, 5, 10, 11, 12]


@pytest.mark.parametrize("text", ["", "x", "-1", "3-", "5-2", "1.5", "0-9999999"])
def test_what_names_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_seeds(text)


def test_clean_seeds_print_their_digests_and_another_process_prints_the_same(tmp_path: Path) -> None:
    first, second = (simulate("--seeds", "0-2", cwd=tmp_path) for _ in range(2))
    assert first.returncode == 0, first.stderr
    lines = [sorted(line.split(",")[0] for line in each.stdout.splitlines()[:3]) for each in (first, second)]
    assert lines[0] == lines[1]
    assert lines[0][0].startswith("seed 0: ")
    assert "3 seeds of 4 minutes" in first.stdout


def test_a_seed_that_fails_is_shrunk_and_says_how_to_see_it_again(tmp_path: Path) -> None:
    ended = simulate("--seeds", "13", cwd=tmp_path)
    assert ended.returncode == 1
    assert "violated: 240.000 s: it forgot" in ended.stdout
    assert "still violated with 2 of 5 faults" in ended.stdout
    again = next(line for line in ended.stdout.splitlines() if line.startswith("again: "))
    assert again.endswith(f"simulate --seeds 13 --minutes 4 {' '.join(SYSTEM)} --faults 1,3")
    assert simulate("--seeds", "13", "--faults", "1,3", cwd=tmp_path).returncode == 1
    assert simulate("--seeds", "13", "--faults", "1", cwd=tmp_path).returncode == 0


def test_a_run_resumes_where_its_ledger_ends(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger")
    assert simulate("--seeds", "0-3", "--ledger", ledger, "--no-shrink", cwd=tmp_path).returncode == 1
    again = simulate("--seeds", "0-4", "--ledger", ledger, "--no-shrink", cwd=tmp_path)
    assert "4 of 5 seeds are in the ledger already" in again.stdout
    # What failed before still fails.
    assert again.returncode == 1
    other = simulate("--seeds", "0-4", "--ledger", ledger, "--minutes", "5", cwd=tmp_path)
    assert other.returncode == 2
    assert "name another file" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seeds", "one"), "'one' is no seed"),
        (("--minutes", "1"), "at least 3 minutes"),
        (("-j", "0"), "at least one process"),
        (("--system", "tests.chaos.simulation.toy:gone"), "cannot be loaded"),
        (("--mutants", "/no/such/file"), "No such file"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = simulate(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_first_seed_that_fails_can_end_the_run(tmp_path: Path) -> None:
    ended = simulate("--seeds", "12-99", "-j", "1", "--first", "--no-shrink", cwd=tmp_path)
    assert ended.returncode == 1
    assert "2 seeds of 4 minutes" in ended.stdout
    assert "seed 14" not in ended.stdout


def test_seeds_that_are_run_twice_must_take_the_same_course(tmp_path: Path) -> None:
    ended = simulate("--seeds", "0-1", "--twice", cwd=tmp_path)
    assert ended.returncode == 0
    assert "2 of 2 seeds took the same course twice" in ended.stdout
    ended = simulate("--seeds", "7", "--twice", "--system", "tests.chaos.simulation.toy:unrepeatable", cwd=tmp_path)
    assert ended.returncode == 1
    assert "seed 7 is not repeatable: its digest was " in ended.stdout
