"""The wheel in a base install: AnyIO and what that needs, nothing else, and the documented examples run."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.deploy.installs import built, wheel_of

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "resilience"
# What a base install has, and what Trio adds to it.
BASE = ("anyio", "idna", "typing_extensions")
TRIO = ("trio", "attrs", "sortedcontainers", "outcome", "sniffio")
OPTIONAL = {"trio", "numpy", "httpx", "pydantic", "polars", "scipy", "opentelemetry", "quart", "psycopg", "redis"}

POLICIES = """
import sys
import anyio
from cqox.resilience import (
    Bulkhead, CircuitBreaker, FailureRate, Policy, Retry, RetryBudget, Timeout, circuit_breaker, deadline,
    exponential_backoff_retry, api_timeout,
)
from cqox.resilience.testing import Script
from cqox.tasks import open_task_group

policy = Policy(
    "engine",
    Bulkhead(2, max_queued=2),
    CircuitBreaker("engine", failure_rate=FailureRate(seconds=30.0)),
    Retry(3, 0.0, idempotent=True, budget=RetryBudget()),
    Timeout(5.0),
)
engine = Script(ConnectionResetError, "answer")

@circuit_breaker()
@exponential_backoff_retry(3, 0.0)
@api_timeout()
async def stacked():
    return await engine.call()

async def hang():
    await anyio.sleep_forever()

async def main():
    with deadline(5.0):
        assert await policy.call(engine.call) == "answer"
    assert await stacked() == "answer"
    try:
        await Timeout(0.01)(hang)()
    except TimeoutError:
        pass
    else:
        raise AssertionError("a call that hangs was not ended")
    async with open_task_group() as group:
        group.start_soon(stacked)

anyio.run(main, backend=sys.argv[1])
"""
REPORT = "\nimport sys as _sys\nprint(*sorted({name.partition('.')[0] for name in _sys.modules}))\n"


def copy_distribution(name: str, to: Path) -> None:
    """Install a distribution from this environment's own files."""
    installed = distribution(name)
    for file in installed.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = to / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(installed.locate_file(file)), target)


def run_in(folder: Path, program: str, *arguments: str) -> set[str]:
    """Run `program` with nothing to import but the standard library and `folder`; return what was imported."""
    prologue = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", prologue + program + REPORT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.splitlines()[-1].split())


def imports_of(program: str) -> set[str]:
    """The top-level names of the modules that a program imports by itself."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def documented(*, with_trio: bool) -> list[str]:
    """The examples of the pages that need nothing but the base install, and Trio if there."""
    programs = [
        program
        for page in sorted(PAGES.glob("*.md"))
        for program in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    known = set(sys.stdlib_module_names) | {"cqox", "anyio", *(["trio"] if with_trio else [])}
    return [
        program
        for program in programs
        if imports_of(program) <= known and (with_trio or not re.search(r"\btrio\b", program))
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release builds it, without network."""
    return wheel_of(built(tmp_path_factory), "cqox")


@pytest.fixture(scope="module")
def base_install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("base")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(folder),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    for name in BASE:
        copy_distribution(name, folder)
    return folder


@pytest.fixture(scope="module")
def install_with_trio(base_install: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with Trio."""
    folder = tmp_path_factory.mktemp("trio") / "site"
    shutil.copytree(base_install, folder)
    for name in TRIO:
        copy_distribution(name, folder)
    return folder


def test_the_wheel_requires_anyio_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [re.split(r"[<>=!~ ;\[]", line)[0] for line in required] == ["anyio"]


def test_the_wheel_is_typed_and_carries_the_packages_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "cqox/py.typed" in names
    assert "cqox/resilience/circuit/breaker.py" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cqox"}


def test_a_base_install_runs_the_policies_on_asyncio_and_imports_nothing_optional(base_install: Path) -> None:
    imported = run_in(base_install, POLICIES, "asyncio")
    assert {"cqox", "anyio"} <= imported
    assert not imported & OPTIONAL


def test_the_same_runs_on_trio_once_it_is_there(install_with_trio: Path) -> None:
    imported = run_in(install_with_trio, POLICIES, "trio")
    assert "trio" in imported
    assert not imported & (OPTIONAL - {"trio"})


def test_the_documented_examples_run_in_a_base_install(base_install: Path) -> None:
    programs = documented(with_trio=False)
    assert len(programs) >= 10
    for program in programs:
        imported = run_in(base_install, program)
        assert not imported & OPTIONAL, program


def test_the_documented_examples_that_use_trio_run_with_it(install_with_trio: Path) -> None:
    programs = [program for program in documented(with_trio=True) if re.search(r"\btrio\b", program)]
    assert programs
    for program in programs:
        run_in(install_with_trio, program)


def test_a_page_that_says_what_to_install_names_trio_where_a_program_needs_it() -> None:
    named: list[str] = []
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        programs = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
        if "pip install cqox" in page and re.search(r"\btrio\b", programs):
            assert re.search(r"pip install (cqox )?trio\b", page), path.name
            named.append(path.stem)
    assert named == ["README", "tutorial"]
