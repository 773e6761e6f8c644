"""Analyses of large tables: the rows in memory, and summed by DuckDB, with CPU, peak memory and the largest difference.

Each run is a process of its own that reads the same stored Parquet file with 10 covariates and two threads. Both run
the estimates that sums can give; with an engine the report's other parts are of a sample. Target: the numbers of both
within 1e-8, and at most 1 GiB with DuckDB at 10 million rows.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks._history import Ratio, record
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators.by_moments.catalog import BY_MOMENTS

_ROWS = (1_000_000, 10_000_000)
_X = [f"x{number}" for number in range(10)]
_NUMBERS = ("estimate", "standard_error", "ci_lower", "ci_upper")
_RUN = """
import json, resource, sys, time
from pathlib import Path
from cqox.analysis.run import analyze, warm_up
from cqox.contract import AnalyzeRequest, parse_model
path, engine, names = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
warm_up()
used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
mapping = {"y": "y", "treatment": "t", "covariates": [f"x{k}" for k in range(10)], "unit_id": "unit"}
request = {"dataset_id": "d", "mapping": mapping, "options": {"engine": engine, "estimators": names}}
wall, cpu = time.perf_counter(), used()
found = analyze(Path(path), parse_model(AnalyzeRequest, request), threads=2, on_step=lambda _: None)
print(json.dumps({
    "engine": found.engine, "wall": time.perf_counter() - wall, "cpu": used() - cpu,
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "estimates": {each["name"]: each for each in found.report["estimates"]},
}))
"""


def main() -> None:
    """Print the table."""
    print(f"\nLarge tables, 10 covariates, two threads on both sides, {os.cpu_count()} CPUs")
    print(f"\n  {'rows':>11} {'engine':>14} {'CPU s':>8} {'wall s':>8} {'peak MiB':>9}  largest difference")
    with tempfile.TemporaryDirectory() as folder:
        for rows in _ROWS:
            _measured(Path(folder), rows)


def _measured(folder: Path, rows: int) -> None:
    stored = _stored(folder, rows)
    memory, engine = (_analyzed(stored, name) for name in ("memory", "duckdb"))
    for found, apart in ((memory, ""), (engine, f"{_apart(memory, engine):.0e}")):
        figures = f"{found['cpu']:>8.1f} {found['wall']:>8.1f} {found['mib']:>9,.0f}"
        print(f"  {rows:>11,} {found['engine']:>14} {figures}  {apart}")
    stored.unlink()
    for unit, key in (("CPU s", "cpu"), ("MiB", "mib")):
        record(
            Ratio(
                case=f"{rows:,} rows, {unit}", ratio=engine[key] / memory[key], better="lower", unit=unit,
                ours=engine[key], theirs=memory[key], peer="the same rows in memory", peer_version=None, threads=2,
                peer_threads=2,
            )
        )  # fmt: skip


def _apart(memory: dict[str, Any], engine: dict[str, Any]) -> float:
    """Return the largest relative difference of a number."""
    left, right = memory["estimates"], engine["estimates"]
    return max(abs(left[name][key] / right[name][key] - 1) for name in left for key in _NUMBERS if left[name][key])


def _analyzed(stored: Path, engine: str) -> dict[str, Any]:
    names = [name for name in BY_MOMENTS if not name.startswith(("iv", "did"))]
    command = [sys.executable, "-c", _RUN, str(stored), engine, json.dumps(names)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1])


def _stored(folder: Path, rows: int) -> Path:
    """Return a stored table of a confounded comparison with a true effect of 1 + .3 x0."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(10, rows))
    t = rng.random(rows) < 1 / (1 + np.exp(-(0.4 * x[0] - 0.3 * x[1] + 0.2 * x[3])))
    y = t * (1 + 0.3 * x[0]) + x[0] - 0.5 * x[1] + 0.2 * x[2] + rng.normal(size=rows)
    frame = pl.DataFrame({"unit": np.arange(rows), "t": t.astype(int), "y": y, **dict(zip(_X, x, strict=True))})
    raw, stored = folder / "raw.parquet", folder / "table.parquet"
    frame.write_parquet(raw)
    limits = Limits(max_rows=rows + 1, max_cells=rows * 20)
    write_parquet(read_table(raw, name="t", limits=limits, options=ReadOptions()), stored)
    raw.unlink()
    return stored
