"""Tasks are started in one place alone, so that none can be without a span; and who loads what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BARE = {"open_nursery", "create_task_group", "TaskGroup", "create_task", "ensure_future", "spawn_system_task"}
# The one place that opens a group; virtual time of tests, which is a loop and no application; what breaks applications.
EXEMPT = {"cqox/tasks.py"}
EXEMPT_FOLDERS = ("cqox/chaos/", "cqox/resilience/testing/", "services/simulation/")


def bare_starts(source: str) -> list[str]:
    """Calls that start tasks behind the back of `cqox.tasks`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in BARE:
                found.append(f"{name} in line {node.lineno}")
    return found


@pytest.mark.parametrize(
    "path", sorted(p.relative_to(ROOT).as_posix() for top in ("cqox", "services") for p in (ROOT / top).rglob("*.py"))
)
def test_no_task_is_started_behind_the_back_of_cqox_tasks(path: str) -> None:
    if path in EXEMPT or path.startswith(EXEMPT_FOLDERS):
        return
    assert bare_starts((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    async with trio.open_nursery() as n: ...",
        "async def f():\n    async with anyio.create_task_group() as g: ...",
        "from trio import open_nursery as o, open_nursery\nopen_nursery()",
        "async def f():\n    async with asyncio.TaskGroup() as g: ...",
        "asyncio.create_task(f())",
    ],
)
def test_the_check_finds_what_it_looks_for(source: str) -> None:
    assert len(bare_starts(source)) == 1


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


def test_spans_and_measures_load_no_opentelemetry_and_no_event_loop() -> None:
    loaded = loaded_by("import cqox.telemetry, cqox.telemetry.stores, cqox.telemetry.remote, cqox.telemetry.analyses")
    assert not {name for name in loaded if name.split(".")[0] in ("opentelemetry", "anyio", "trio", "numpy", "polars")}


@pytest.mark.parametrize("app", ["services.gateway.app", "services.engine.app"])
def test_an_app_loads_opentelemetry_only_once_it_serves(app: str) -> None:
    assert not {name for name in loaded_by(f"import {app}") if name.startswith("opentelemetry")}


def test_telemetry_loads_no_numerics() -> None:
    loaded = loaded_by(
        "import cqox.telemetry.setup, cqox.telemetry.providers, cqox.telemetry.recorder, cqox.telemetry.prometheus"
    )
    assert not {name for name in loaded if name.split(".")[0] in ("numpy", "polars", "scipy", "altair", "vl_convert")}
