"""Imports whose threads start later."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from cqox.analysis.workers.environment import template_environment
from cqox.analysis.workers.late_threads import LateThreads, other_threads

IMPORT = """
import json, os
from cqox.analysis.workers.late_threads import LateThreads, other_threads

late = LateThreads()
late.install()
import polars as pl
found = [other_threads()]
pid = os.fork()
if pid == 0:
    late.start()
    frame = pl.DataFrame({"a": [3, 1, 2]}).sort("a").with_columns(b=pl.col("a").cum_sum())
    found += [other_threads(), frame["b"].to_list()]
    print(json.dumps(found), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
STAND_IN = """
calls = []

def __register_startup_deps(*given):
    calls.append(given)
"""


def imported(path: Path, code: str) -> LateThreads:
    """Import a package that has the names of the compiled part of polars; its finder."""
    package = path / "_polars_runtime_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_polars_runtime.py").write_text(code)
    late = LateThreads()
    late.install()
    sys.path.insert(0, str(path))
    try:
        __import__("_polars_runtime_of_a_test._polars_runtime")
    finally:
        sys.path.remove(str(path))
        sys.meta_path.remove(late)
    return late


def module() -> object:
    sys.modules.pop("_polars_runtime_of_a_test")
    return sys.modules.pop("_polars_runtime_of_a_test._polars_runtime")


def test_polars_is_loaded_without_threads_and_works_in_a_fork_that_starts_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        env=template_environment(os.environ, threads=2), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    before, after, sums = json.loads(done.stdout)
    assert before == []
    assert after
    assert sums == [1, 3, 6]


def test_the_call_that_starts_threads_is_made_once_with_what_it_was_given(tmp_path: Path) -> None:
    late = imported(tmp_path, STAND_IN)
    found = module()
    getattr(found, "__register_startup_deps")(1, "two")
    assert found.calls == []  # type: ignore[attr-defined]
    for _ in range(2):
        late.start()
        assert found.calls == [(1, "two")]  # type: ignore[attr-defined]


def test_a_module_without_that_call_is_imported_as_it_is(tmp_path: Path) -> None:
    late = imported(tmp_path, "answer = 42")
    assert module().answer == 42  # type: ignore[attr-defined]
    late.start()


def test_every_other_module_is_left_to_the_next_finder() -> None:
    assert LateThreads().find_spec("json", None) is None
    assert LateThreads().find_spec("_polars_runtime_32", None) is None
    assert LateThreads().find_spec("_polars_runtime_none._polars_runtime", []) is None


def test_a_thread_is_seen_while_it_runs() -> None:
    before, end = len(other_threads()), threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert len(other_threads()) == before + 1
    finally:
        end.set()
        thread.join()
