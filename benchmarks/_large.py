"""Large tables for benchmarks, and runs over them in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import polars as pl

from benchmarks._large_runs import COVARIATES
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet

__all__ = ["OWN_ENVIRONMENT", "OWN_PYTHON", "Run", "difference", "linked", "measured", "stored"]

OWN_ENVIRONMENT = ("econml", "duckreg")
"""Kinds of runs whose peers clash with the pins of the project."""
OWN_PYTHON = Path(sys.prefix) / "large-peers" / "bin" / "python"
"""The Python of the environment that those have, which `make bench` makes."""
_PART_ROWS = 1_000_000
_BYTES_OF_ROW = 3 * 8 * (3 + len(COVARIATES))
"""Of the disk while a table is made: its parts, one file of them, and the table."""


class Run(TypedDict):
    """Time, memory and numbers of a run.

    Attributes:
        wall, cpu: seconds.
        mib: peak of memory.
        by: what made the sums, or the peer, with its version.
        numbers: estimate and standard error by the name of the estimator.
    """

    wall: float
    cpu: float
    mib: float
    by: str
    numbers: dict[str, list[float | None]]


def stored(folder: Path, rows: int) -> Path:
    """Return a stored table of a confounded comparison with a true effect of 1 + .3 x0; at most a part is in memory.

    Raises:
        SystemExit: the disk has no room for it.
    """
    if shutil.disk_usage(folder).free < rows * _BYTES_OF_ROW:
        raise SystemExit(f"{rows:,} rows need {rows * _BYTES_OF_ROW / 2**30:.1f} GiB in {folder}")
    parts = folder / "parts"
    parts.mkdir()
    for start in range(0, rows, _PART_ROWS):
        _part(start, min(start + _PART_ROWS, rows)).write_parquet(parts / f"{start:012}.parquet")
    raw, table = folder / "raw.parquet", folder / f"table-{rows}.parquet"
    pl.scan_parquet(sorted(parts.iterdir())).sink_parquet(raw)
    shutil.rmtree(parts)
    limits = Limits(max_rows=rows + 1, max_cells=rows * 20)
    write_parquet(read_table(raw, name="t", limits=limits, options=ReadOptions()), table)
    raw.unlink()
    return table


def _part(start: int, stop: int) -> pl.DataFrame:
    rng, rows = np.random.default_rng(start), stop - start
    x = rng.normal(size=(len(COVARIATES), rows))
    t = rng.random(rows) < 1 / (1 + np.exp(-(0.4 * x[0] - 0.3 * x[1] + 0.2 * x[3])))
    y = t * (1 + 0.3 * x[0]) + x[0] - 0.5 * x[1] + 0.2 * x[2] + rng.normal(size=rows)
    columns = dict(zip(COVARIATES, x, strict=True))
    return pl.DataFrame({"unit": np.arange(start, stop), "t": t.astype(int), "y": y, **columns})


def linked(table: Path, times: int) -> list[Path]:
    """Return hard links to a table, which are read as one table of so many times its rows."""
    links = [table.with_name(f"{table.stem}-{number}.parquet") for number in range(times)]
    for link in links:
        os.link(table, link)
    return links


def measured(kind: str, tables: Sequence[Path], names: Sequence[str]) -> Run:
    """Return what a run of `benchmarks._large_runs` or `benchmarks.large_peers.run` took, on one thread of BLAS."""
    given = json.dumps([str(each) for each in tables]), json.dumps(list(names))
    started = (
        [OWN_PYTHON, "-m", "benchmarks.large_peers.run"]
        if kind in OWN_ENVIRONMENT
        else [sys.executable, "-m", "benchmarks._large_runs"]
    )
    command = [*map(str, started), kind, *given]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, **threads})
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def difference(left: Run, right: Run) -> float:
    """Return the largest relative difference of an estimate or a standard error that both runs have."""
    names = left["numbers"].keys() & right["numbers"].keys()
    pairs = [pair for name in names for pair in zip(left["numbers"][name], right["numbers"][name], strict=True)]
    return max(abs(one / other - 1) for one, other in pairs if one and other)
