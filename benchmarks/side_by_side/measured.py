"""Runs of the scripts of a task, each in a process of its own."""

import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

__all__ = ["Measured", "code", "measure"]

_SCRIPTS = Path(__file__).parent / "scripts"
_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A script with what it printed.

    Attributes:
        lines: of code, blank ones not counted.
        seconds: median duration of a whole process, imports included.
        cpu: median CPU seconds of it and its children.
        printed: standard output of the last run.
    """

    lines: int
    seconds: float
    cpu: float
    printed: str


def code(name: str) -> str:
    """Return the code of a script by its name."""
    return (_SCRIPTS / f"{name}.py").read_text(encoding="utf-8")


def measure(name: str, python: Path, *, runs: int) -> Measured:
    """Run a script several times with this interpreter.

    Raises:
        CalledProcessError: it failed.
    """
    seconds, cpu, printed = [], [], ""
    # Warnings of libraries about each other say nothing about the data.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    for _ in range(runs):
        before, began = _cpu(), perf_counter()
        done = subprocess.run(
            [python, "-W", "ignore", _SCRIPTS / f"{name}.py"], env=environment, stdout=subprocess.PIPE, text=True,
            timeout=_SECONDS, check=True,
        )  # fmt: skip
        seconds.append(perf_counter() - began)
        cpu.append(_cpu() - before)
        printed = done.stdout
    lines = sum(bool(line.strip()) for line in code(name).splitlines())
    return Measured(lines=lines, seconds=median(seconds), cpu=median(cpu), printed=printed)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
