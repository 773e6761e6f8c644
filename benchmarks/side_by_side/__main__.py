"""`python -m benchmarks.side_by_side --peers PYTHON`: run five tasks with CQOx and with peers, and compare."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side.measured import measure
from benchmarks.side_by_side.page import PAGE, Pair, page, row
from benchmarks.side_by_side.tasks import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pairs, print a line for each, and write the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, metavar="PYTHON", help="interpreter that has the peers")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[task.name for task in TASKS])
    parser.add_argument("--runs", type=int, default=3, help="of each script (default: 3)")
    parser.add_argument("--page", action="store_true", help="write docs/side-by-side.md")
    chosen = parser.parse_args(arguments)
    if chosen.page and chosen.only:
        parser.error("the page takes every task: --page excludes --only")
    pairs = []
    for task in TASKS:
        if not chosen.only or task.name in chosen.only:
            own = measure(f"{task.name}_cqox", Path(sys.executable), runs=chosen.runs)
            peer = measure(f"{task.name}_{task.peer.lower()}", chosen.peers, runs=chosen.runs)
            pairs.append(Pair(task=task, own=own, peer=peer))
            print(row(pairs[-1]), end="", flush=True)
    if chosen.page:
        PAGE.write_text(page(pairs, runs=chosen.runs, processors=os.cpu_count() or 1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
