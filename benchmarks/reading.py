"""CPU time and memory of reading CSV and Parquet, against polars' read and write, in one run.

Ours is the task of a worker that an upload waits for: encoding, types, description, findings, roles, and the stored
table, in the environment that a worker has. The peer reads the same file with the types that it finds and writes it as
Parquet, with its own level of compression and with ours. Each runs in a process of its own, after the imports; the
sides take turns. Peaks are those of the whole process. Targets: at most 2 times the CPU time for CSV and 1.5 times for
Parquet, and 1 GiB of memory for a CSV of 1 GB.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks._history import Ratio, record, versions
from cqox.analysis.workers.environment import worker_environment

_MIB = 1 << 20
_ROUNDS = 3
_THREADS = 2
_CHUNK = 200_000
_START = """
import sys, time
from pathlib import Path
import polars as pl
def most_mib():
    # Not ru_maxrss: that begins with what the process held that started this one.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
"""
_OURS = """
from cqox.analysis.work import perform, warm
warm()
limits = {"max_bytes": 1 << 31, "max_rows": 20_000_000}
began = time.process_time()
perform("ingest", {"path": str(source), "name": "t", "folder": str(folder), "limits": limits}, lambda step: None)
print(time.process_time() - began, most_mib())
"""
_POLARS = """
pl.DataFrame({"a": [1]}).write_parquet(folder / "first.parquet")
read = pl.read_csv if source.suffix == ".csv" else pl.read_parquet
began = time.process_time()
read(source).write_parquet(folder / "table.parquet", compression_level=LEVEL)
print(time.process_time() - began, most_mib())
"""


def main() -> None:
    """Print a line for each file, and the memory that a CSV of 1 GB takes."""
    print(f"\nReading a file and storing it: CPU seconds, medians of {_ROUNDS}; {_THREADS} threads on both sides")
    with tempfile.TemporaryDirectory() as folder:
        for kind in _TABLES:
            path = _csv(Path(folder) / f"{kind}.csv", kind, 250 * _MIB)
            _compare(f"CSV, {kind}", path, target=2.0)
            parquet = path.with_suffix(".parquet")
            pl.scan_csv(path, try_parse_dates=True).sink_parquet(parquet)
            path.unlink()
            _compare(f"Parquet, {kind}", parquet, target=1.5)
            parquet.unlink()
        for kind in _TABLES:
            path = _csv(Path(folder) / "large.csv", kind, 1000 * 1000 * 1000)
            cpu, peak = _run(_OURS, path)
            size = path.stat().st_size / 1e9
            print(f"  CSV, {kind}, of {size:.2f} GB: {cpu:.1f} s, peak {peak:,.0f} MiB; target at most 1,024 MiB")


def _compare(what: str, path: Path, *, target: float) -> None:
    runs: list[list[tuple[float, float]]] = [[], [], []]
    sides = (_OURS, _POLARS.replace("LEVEL", "None"), _POLARS.replace("LEVEL", "1"))
    for number in range(_ROUNDS):
        for side in range(3) if number % 2 else reversed(range(3)):
            runs[side].append(_run(sides[side], path))
    ours, theirs, same_level = (statistics.median(cpu for cpu, _ in each) for each in runs)
    peaks = [max(peak for _, peak in each) for each in runs]
    print(
        f"  {what:<17} {path.stat().st_size / _MIB:4.0f} MiB: ours {ours:5.2f} s, polars {theirs:5.2f} s, ratio "
        f"{ours / theirs:.2f}, target at most {target}; polars at our level of compression {same_level:5.2f} s, ratio "
        f"{ours / same_level:.2f}; peak {peaks[0]:,.0f} MiB, polars {peaks[1]:,.0f} MiB"
    )
    record(
        Ratio(
            case=f"Reading and storing {what}",
            ratio=ours / theirs,
            better="lower",
            unit="s",
            ours=ours,
            theirs=theirs,
            peer="polars",
            peer_version=versions("polars"),
            threads=_THREADS,
            peer_threads=_THREADS,
        )
    )


def _run(side: str, path: Path) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of one side in a process of its own."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        done = subprocess.run(
            [sys.executable, "-c", _START + side, str(path), folder],
            check=True, capture_output=True, text=True, env=worker_environment(os.environ, threads=_THREADS),
        )  # fmt: skip
    cpu, peak = done.stdout.split()
    return float(cpu), float(peak)


def _csv(path: Path, kind: str, size_bytes: int) -> Path:
    rng, rows = np.random.default_rng(1), 0
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            frame = _TABLES[kind](rng, rows)
            frame.write_csv(file, include_header=not rows)
            rows += _CHUNK
    return path


def _numbers(rng: np.random.Generator, _rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"treated": rng.integers(0, 2, _CHUNK), **{f"x{place}": rng.normal(size=_CHUNK) for place in range(4)}}
    )


def _mixed(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Ids, days, words, amounts in cents and amounts that are missing in 3 of 100 rows."""
    days = np.datetime64("2018-01-01") + rng.integers(0, 1800, _CHUNK).astype("timedelta64[D]")
    income = pl.Series(np.round(rng.lognormal(6, 0.5, _CHUNK), 1))
    return pl.DataFrame(
        {
            "store_id": np.arange(rows, rows + _CHUNK) // 5,
            "year": 2018 + np.arange(_CHUNK) % 5,
            "date": days,
            "region": _words(rng, ["東京", "大阪", "名古屋", "札幌", "福岡"]),
            "treated": rng.integers(0, 2, _CHUNK),
            "age": rng.integers(18, 90, _CHUNK),
            "price": np.round(rng.gamma(2, 100, _CHUNK), 2),
            "score": rng.normal(size=_CHUNK),
            "visits": rng.poisson(4, _CHUNK),
            "income": income.set(pl.Series(rng.random(_CHUNK) < 0.03), None),
            "product": _words(rng, [f"商品 {number}" for number in range(3000)]),
        }
    )


def _words(rng: np.random.Generator, words: Sequence[str]) -> pl.Series:
    return pl.Series(words).gather(rng.integers(0, len(words), _CHUNK))


def _texts(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Numbers next to remarks that are long, and different in every row."""
    orders = pl.Series(np.arange(rows, rows + _CHUNK))
    return pl.DataFrame(
        {"treated": rng.integers(0, 2, _CHUNK), "score": rng.normal(size=_CHUNK), "order": orders}
    ).with_columns(
        pl.format("注文番号 {} の お客様からの ご意見 (担当 {})", "order", pl.col("order") * 7919 % 1000003).alias(
            "remark"
        )
    )


_TABLES = {"numbers": _numbers, "mixed": _mixed, "texts": _texts}
