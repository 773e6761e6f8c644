"""Calls from Python with a data frame of pandas: import, first call, later calls, one estimator on a million rows.

Targets: `import cqox` at most 20 ms above a bare interpreter; a first call of at most 1.5 s, worker start included;
later calls, with new data each, at most 1.3 times the seconds that the worker is busy: with reading the frame, which
the report does not count, and with the analysis. The million rows are given to
`cqox.methods.aipw` and to DoubleML as the same frame, what each converts included; both use linear and logistic
nuisance models, and DoubleML two folds without repetition, the least that it allows.
"""

import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import doubleml
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression

from benchmarks._history import Ratio, record
from cqox.analysis.workers import Reply, WorkerPool

_IMPORTS, _CALLS, _ROWS, _MANY = 15, 9, 10_000, 1_000_000
_X = [f"x{number}" for number in range(10)]
_FIRST = """
import time
import benchmarks.frames as frames
frame = frames.table(10_000, 0)
began = time.perf_counter()
import cqox
cqox.analyze(frame, y="y", treatment="w", covariates=frames.covariates(), assignment="unconfounded")
print(time.perf_counter() - began)
"""


def main() -> None:
    """Print the table."""
    print(f"\nCalls from Python, pandas {pd.__version__}, {os.cpu_count()} CPUs")
    bare, loaded = _import_seconds("pass"), _import_seconds("import cqox")
    print(f"\n  import cqox: {1e3 * (loaded - bare):.1f} ms above a bare interpreter ({1e3 * bare:.1f} ms)")
    firsts = [float(_python(_FIRST)) for _ in range(3)]
    print(f"  first call of a process, {_ROWS:,} rows, 10 covariates: median {statistics.median(firsts):.2f} s of 3")
    _later_calls()
    _many_rows()


def covariates() -> list[str]:
    """Return the names of the covariates of `table`."""
    return list(_X)


def table(rows: int, seed: int) -> pd.DataFrame:
    """Return a confounded comparison with a true effect of 2."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, len(_X)))
    w = (rng.random(rows) < 1 / (1 + np.exp(-x[:, 0] * 0.5))).astype(int)
    y = 2.0 * w + x @ np.linspace(0, 1, len(_X)) + rng.normal(size=rows)
    return pd.DataFrame({"y": y, "w": w, **{name: x[:, number] for number, name in enumerate(_X)}})


def _later_calls() -> None:
    import cqox

    ratios, reported, seconds, busy = [], [], [], []
    run = WorkerPool.run

    async def timed(*arguments: Any, **named: Any) -> Reply:
        began = time.perf_counter()
        try:
            return await run(*arguments, **named)
        finally:
            busy.append(time.perf_counter() - began)

    with patch.object(WorkerPool, "run", timed):
        for seed in range(_CALLS + 2):
            frame = table(_ROWS, seed)
            busy.clear()
            began = time.perf_counter()
            report = cqox.analyze(frame, y="y", treatment="w", covariates=_X, assignment="unconfounded")
            taken = time.perf_counter() - began
            if seed > 1:
                seconds.append(taken)
                ratios.append(taken / sum(busy))
                reported.append(taken / sum(report.provenance.seconds.values()))
    print(
        f"  later calls: median {statistics.median(seconds):.3f} s, {statistics.median(ratios):.2f} times the seconds "
        f"that the worker is busy ({min(ratios):.2f} to {max(ratios):.2f} in {_CALLS} calls), "
        f"{statistics.median(reported):.2f} times those of the analysis alone"
    )


def _many_rows() -> None:
    import cqox

    frame = table(_MANY, 1)
    own, peer = [], []
    for _ in range(3):
        # Other data each time: equal data would be answered from the cache.
        frame["y"] += 0.01
        began = time.perf_counter()
        ours = cqox.methods.aipw(frame, y="y", treatment="w", covariates=_X)
        own.append(time.perf_counter() - began)
        began = time.perf_counter()
        data = doubleml.DoubleMLData(frame, y_col="y", d_cols="w", x_cols=_X)
        theirs = doubleml.DoubleMLIRM(data, ml_g=LinearRegression(), ml_m=LogisticRegression(C=1e6), n_folds=2).fit()
        peer.append(time.perf_counter() - began)
    mine, longer = statistics.median(own), statistics.median(peer)
    ratio = longer / mine
    record(
        Ratio(
            case=f"AIPW from a frame, {_MANY:,} rows, 10 covariates", ratio=ratio, better="higher", unit="s", ours=mine,
            theirs=longer, peer="DoubleML", peer_version=version("doubleml"), threads=os.cpu_count(), peer_threads=1,
        )
    )  # fmt: skip
    print(f"\n  AIPW on {_MANY:,} rows, 10 covariates, conversion included, medians of 3:")
    print(f"    cqox.methods.aipw  {mine:6.2f} s  {ours.estimate:.4f} ({ours.standard_error:.4f})")
    print(
        f"    DoubleML IRM       {longer:6.2f} s  {theirs.coef[0]:.4f} ({theirs.se[0]:.4f})  {ratio:.1f} times as long"
    )


def _import_seconds(code: str) -> float:
    seconds = []
    for _ in range(_IMPORTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
