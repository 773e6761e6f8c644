"""Tasks of the worker of a single caller."""

import subprocess
import sys

from cqox.analysis import local_work, work


def test_its_tasks_are_those_of_every_worker() -> None:
    assert local_work.perform is work.perform


def test_its_start_runs_nothing() -> None:
    code = (
        "import sys; from cqox.analysis import local_work; before = set(sys.modules); local_work.warm(); "
        "print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
