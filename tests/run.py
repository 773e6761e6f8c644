"""Run pytest, and what failed once more, alone: `python -m tests.run [--first] PYTEST_ARGUMENTS`.

A test that passes the second time is flaky: its name is printed at the end of every stage, and more than three in one
run of `make test` fail it. `--first` begins the count.
"""

import json
import subprocess
import sys
from pathlib import Path

_MOST_FLAKY = 3
_FLAKY = Path("build/flaky.txt")
_LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
_TESTS_FAILED = 1


def main(arguments: list[str]) -> int:
    """Run pytest with these arguments and return its exit status, or 1 where too many tests are flaky."""
    if arguments[:1] == ["--first"]:
        arguments = arguments[1:]
        _FLAKY.unlink(missing_ok=True)
    status = _pytest([*arguments, "--cache-clear"])
    failed = _last_failed() if status == _TESTS_FAILED else []
    # A worker or a file that could not be collected has no test to run once more.
    if failed and len(failed) <= _MOST_FLAKY and all("::" in name for name in failed):
        print("Re-running failed tests once:", *failed, sep="\n  ", flush=True)
        status = _pytest([*failed, "-n0"])
        if status == 0:
            _note(failed)
    return status or _report()


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def _last_failed() -> list[str]:
    return sorted(json.loads(_LAST_FAILED.read_text())) if _LAST_FAILED.exists() else []


def _note(names: list[str]) -> None:
    _FLAKY.parent.mkdir(exist_ok=True)
    with _FLAKY.open("a") as file:
        file.writelines(f"{name}\n" for name in names)


def _report() -> int:
    names = _FLAKY.read_text().splitlines() if _FLAKY.exists() else []
    if names:
        print("Flaky tests (failed once, then passed):", *names, sep="\n  ", flush=True)
    return int(len(names) > _MOST_FLAKY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
