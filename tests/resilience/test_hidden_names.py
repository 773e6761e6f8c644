"""The library works without the private names of AnyIO, Trio and asyncio that it uses to be faster or to see further.

Here with some of its tests; `make hidden-names` runs all.
"""

import subprocess
import sys
from pathlib import Path

from tests.resilience.hidden_names import LOST, MODULES, hide, own_names, sources

ROOT = Path(__file__).parents[2]

# Where one is added, add it to the requests in docs/upstream.md.
NAMES = {
    "AnyIO": {"_core", "_eventloop", "_backends", "_asyncio", "_task_states", "_parent_scope", "_host_task"},
    "Trio": {"_threads", "_cancel_status", "_scope", "_parent", "_runner", "_child_nurseries", "_run"},
    "asyncio": {"_GatheringFuture", "_callbacks", "_parent_task", "_target", "_worker"},
}

REPRESENTATIVE = (
    "tests/resilience/runtime/test_ambient_deadline.py",
    "tests/resilience/runtime/test_event_loop.py",
    "tests/resilience/runtime/test_clock.py",
    "tests/resilience/deadlines",
    "tests/resilience/test_interplay.py",
    "tests/resilience/composition/test_policy_block.py",
    "tests/resilience/circuit/test_state_interleavings.py::test_one_breaker_serves_asyncio_trio_and_threads_at_once",
)

PROGRAM = """
import anyio, sys
from tests.resilience import hidden_names

hidden_names.pytest_load_initial_conftests()
from cqox.resilience import deadline, remaining
from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.joined_tasks import clock_of, is_joined

async def main():
    loop = current_loop()
    assert loop.scope_id_of(loop.task()) is None
    with deadline(60.0):
        assert 50 < remaining() <= 60
        assert await anyio.to_thread.run_sync(remaining) == float("inf")
    assert not is_joined(object())
    return clock_of(loop.task()) is None

print(anyio.run(main, backend="asyncio"), anyio.run(main, backend="trio"))
"""


def run(*command: str) -> str:
    finished = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-2000:]
    return finished.stdout


def test_private_names_of_others_are_used_in_three_modules_and_are_these() -> None:
    own = frozenset[str]().union(*(own_names(source) for _, source in sources()))
    used: dict[str, set[str]] = {}
    for name, source in sources():
        used[name] = hide(source, own_names(source) if name in MODULES else own)[1]
    assert {name for name, names in used.items() if names} == MODULES
    assert set().union(*used.values()) == set().union(*NAMES.values())


def test_the_requests_to_their_authors_name_each_of_them() -> None:
    page = (ROOT / "docs" / "upstream.md").read_text()
    assert {name for library in ("AnyIO", "Trio") for name in NAMES[library] if f"{name}`" not in page} <= {
        *("_core", "_backends", "_threads", "_run"),  # packages: the modules in them are named
    }


def test_without_them_nothing_is_known_and_nothing_fails() -> None:
    # The clock of a task of asyncio is public; that of a task of Trio is not.
    assert run("-c", PROGRAM).split() == ["False", "True"]


def test_a_part_of_the_tests_passes_without_them() -> None:
    report = run("-m", "pytest", "-n0", "-q", "-p", "tests.resilience.hidden_names", *REPRESENTATIVE)
    assert " passed" in report
    assert " deselected" in report, f"what needs the names is left out: {', '.join(LOST)}"
