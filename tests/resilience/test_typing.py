"""Types and signatures survive every decorator, as mypy strict and pyright strict see it."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = Path(__file__).with_name("typing_examples.py")
PYRIGHT = Path(sys.executable).with_name("pyright")


def check(*command: str) -> None:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_mypy_strict_agrees_with_every_example(tmp_path: Path) -> None:
    check(
        *[sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores"],
        *["--cache-dir", str(tmp_path), str(EXAMPLES.relative_to(ROOT))],
    )


def run_pyright(*arguments: str) -> str | None:
    """Return what pyright reports, empty where it has nothing to say; None where it cannot run."""
    if shutil.which("node") is None or not PYRIGHT.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("pyright did not run: it needs node. Only mypy has checked the types.", stacklevel=1)
        return None
    command = [str(PYRIGHT), "--pythonpath", sys.executable, *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return finished.stdout + finished.stderr if finished.returncode else ""


def pyright_of(source: str, directory: Path) -> str | None:
    # A copy: pyright takes relative paths alone, and agrees with a project that has no files.
    (directory / EXAMPLES.name).write_text(source)
    configuration = {
        "include": [EXAMPLES.name],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "enableTypeIgnoreComments": False,  # those are mypy's; pyright has its own on every mistake
    }
    project = directory / "pyrightconfig.json"
    project.write_text(json.dumps(configuration))
    return run_pyright("--project", str(project))


def test_pyright_strict_agrees_with_every_example(tmp_path: Path) -> None:
    report = pyright_of(EXAMPLES.read_text(), tmp_path)
    assert not report, report


def test_pyright_reads_the_examples(tmp_path: Path) -> None:
    first = "  # pyright: ignore[reportArgumentType]"
    report = pyright_of(EXAMPLES.read_text().replace(first, "", 1), tmp_path)
    assert report is None or "reportArgumentType" in report, report


def test_pyright_strict_agrees_with_the_library() -> None:
    report = run_pyright("cqox/resilience", "cqox/tasks.py", "cqox/errors.py")
    assert not report, report
