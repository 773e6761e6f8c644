"""The page `docs/side-by-side.md`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side_by_side.measured import Measured, code
from benchmarks.side_by_side.tasks import Task

__all__ = ["PAGE", "Pair", "page", "row"]

PAGE = Path(__file__).parents[2] / "docs" / "side-by-side.md"
_HEAD = """\
# Side by side

Five tasks, each written with CQOx and with the library that a user of pandas would otherwise take, on the same data of
the package [causaldata](https://pypi.org/project/causaldata/). `make side-by-side` runs the scripts and writes this
page. Each runs in a process of its own, imports included: median of {runs} runs, {processors} CPUs for both sides.
CQOx computes every estimator that fits the data and checks them, the peer one estimate; so the seconds compare
answers, not algorithms ([speed](speed.md) compares those).

| task | CQOx: lines | seconds | CPU s | peer | lines | seconds | CPU s |
|---|---:|---:|---:|---|---:|---:|---:|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A task with both runs."""

    task: Task
    own: Measured
    peer: Measured


def row(pair: Pair) -> str:
    """Return the line of a task in the table."""
    own, peer = (f"{each.lines} | {each.seconds:.1f} | {each.cpu:.1f}" for each in (pair.own, pair.peer))
    return f"| {pair.task.title} | {own} | {pair.task.peer} | {peer} |\n"


def page(pairs: Sequence[Pair], *, runs: int, processors: int) -> str:
    """Return the page."""
    return "".join([_HEAD.format(runs=runs, processors=processors), *map(row, pairs), *map(_section, pairs)])


def _section(pair: Pair) -> str:
    task = pair.task
    # The examples of the documentation run in an environment without the peers; `py` keeps theirs out.
    scripts = (
        (f"{task.name}_cqox", "CQOx", "python", pair.own),
        (f"{task.name}_{task.peer.lower()}", task.peer, "py", pair.peer),
    )
    parts = [f"\n## {task.title}\n\n{task.question}\n"]
    for script, title, fence, measured in scripts:
        parts += [f"\n### {title}\n\n```{fence}\n{code(script)}```\n\n```text\n{_shown(measured.printed)}```\n"]
    return "".join([*parts, f"\n### What each says about trust\n\n{task.reading}\n"])


def _shown(printed: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in printed.strip().splitlines())
