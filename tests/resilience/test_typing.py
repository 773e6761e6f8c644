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


def run_pyright(*arguments: str) -> None:
    if shutil.which("node") is None or not PYRIGHT.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("pyright did not run: it needs node. Only mypy has checked the types.", stacklevel=1)
        return
    check(str(PYRIGHT), "--pythonpath", sys.executable, *arguments)


def test_pyright_strict_agrees_with_every_example(tmp_path: Path) -> None:
    configuration = {
        "include": [str(EXAMPLES)],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "enableTypeIgnoreComments": False,  # those are mypy's; pyright has its own on every mistake
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(configuration))
    run_pyright("--project", str(project))


def test_pyright_strict_agrees_with_the_library() -> None:
    run_pyright("cqox/resilience", "cqox/tasks.py", "cqox/errors.py")
