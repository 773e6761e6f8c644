"""Comparison of this checkout with another one: CPU per request and goodput under overload, in alternating rounds.

    git worktree add --detach /tmp/before v0.1.0
    python -m benchmarks.releases --before /tmp/before

Both run with this checkout's interpreter and packages. Each round measures both, in alternating order, so that a drift
of the machine's speed affects both equally. Each side has one gateway, one engine and its workers; the load generator
runs on the same CPUs.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._load import Connection, Load, closed_loop, open_loop
from benchmarks.gateway import ANALYZE, CACHED, cpu_seconds, free_port, fresh, wait

_T_975 = {9: 2.262, 10: 2.228, 11: 2.201, 14: 2.145, 19: 2.093}
_ROUND_SECONDS = 3.0
_OVERLOAD_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class _Side:
    gateway: subprocess.Popen[bytes]
    engine: subprocess.Popen[bytes]
    port: int


def main() -> None:
    """Print both measurements of both checkouts and confidence intervals of their ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=12)
    chosen = parser.parse_args()
    here = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            stack.enter_context(_served(root.resolve(), Path(folder) / name))
            for name, root in (("before", chosen.before), ("after", here))
        ]
        for side in sides:
            closed_loop(side.port, ANALYZE, lambda: CACHED, connections=16, seconds=_ROUND_SECONDS)
        _report("CPU of gateway and engine per cached request, ms", _rounds(sides, chosen.rounds, _cpu), lower=True)
        _report("goodput at 3x overload, analyses/s", _rounds(sides, chosen.rounds, _goodput), lower=False)


def _rounds(sides: list[_Side], rounds: int, measure: Callable[[_Side], float]) -> list[tuple[float, float]]:
    found = []
    for number in range(rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        values = {id(side): measure(side) for side in order}
        found.append((values[id(sides[0])], values[id(sides[1])]))
    return found


def _cpu(side: _Side) -> float:
    processes = (side.gateway.pid, side.engine.pid)
    before = sum(cpu_seconds(process) for process in processes)
    load = closed_loop(side.port, ANALYZE, lambda: CACHED, connections=16, seconds=_ROUND_SECONDS)
    _check(load)
    return (sum(cpu_seconds(process) for process in processes) - before) / len(load.answers) * 1e3


def _check(load: Load) -> None:
    others = {status for status, _ in load.answers} - {200}
    if others:
        raise SystemExit(f"Not what was to be measured: answers of status {sorted(others)}.")


def _goodput(side: _Side) -> float:
    unloaded = closed_loop(side.port, ANALYZE, fresh, connections=6, seconds=3.0)
    _check(unloaded)
    capacity = unloaded.per_second
    headers = {"X_Request_Timeout_Ms": "2000"}
    return open_loop(
        side.port, ANALYZE, fresh, per_second=3 * capacity, seconds=_OVERLOAD_SECONDS, **headers
    ).per_second


def _report(what: str, pairs: list[tuple[float, float]], *, lower: bool) -> None:
    logs = [math.log(after / before) for before, after in pairs]
    mean = statistics.fmean(logs)
    half = _T_975.get(len(logs) - 1, 2.3) * statistics.stdev(logs) / math.sqrt(len(logs))
    before, after = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    better = "lower" if lower else "higher"
    print(f"{what} ({better} is better), {len(pairs)} rounds: before {before:.3g}, after {after:.3g} (medians)")
    print(f"  ratio {math.exp(mean):.3f}, 95% interval {math.exp(mean - half):.3f} to {math.exp(mean + half):.3f}")


@contextmanager
def _served(root: Path, folder: Path) -> Iterator[_Side]:
    folder.mkdir()
    engine, gateway = free_port(), free_port()
    shared = {**os.environ, "PYTHONPATH": str(root), "CQOX_DATA_DIR": str(folder), "CQOX_LOG_LEVEL": "error"}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, port, more in (
            ("engine", engine, {"CQOX_ENGINE_PORT": str(engine)}),
            ("gateway", gateway, {"CQOX_GATEWAY_PORT": str(gateway), "ENGINE_URL": f"http://127.0.0.1:{engine}"}),
        ):
            command = [sys.executable, "-m", f"services.{name}"]
            started.append(subprocess.Popen(command, env={**shared, **more}, cwd=root))
            wait(port, "/health/ready", 200)
        Connection(gateway).ask(ANALYZE, CACHED)
        yield _Side(gateway=started[1], engine=started[0], port=gateway)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(40)
        time.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps({"cpus": os.process_cpu_count(), "python": sys.version.split()[0]}))
    main()
