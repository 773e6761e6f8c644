"""Time and memory of a comprehensive analysis by rows and covariates; draws `docs/images/growth.svg`.

Each point is a process that reads a stored table and produces the complete report with its figures, as a worker does,
without the services. Medians of 3 analyses after one for warm-up; memory is the peak above the process's memory before
its first analysis.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators import Json
from cqox.figures import render_svg

_ROWS = (1_000, 10_000, 100_000, 1_000_000)
_COVARIATES = (5, 10, 20, 50)
_BASE_ROWS, _BASE_COVARIATES = 100_000, 10
_PICTURE = Path(__file__).parent.parent / "docs" / "images" / "growth.svg"
_ONCE = """
import json, statistics, sys, time
from pathlib import Path
from cqox.analysis.run import analyze, warm_up
from cqox.contract import AnalyzeRequest
covariates = int(sys.argv[2])
def most_bytes():
    # Not ru_maxrss: that begins with what the process held that started this one.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024
warm_up()
before = most_bytes()
mapping = {"y": "y", "treatment": "w", "covariates": [f"x{at}" for at in range(covariates)]}
walls, cpus = [], []
for seed in range(4):
    request = AnalyzeRequest.model_validate({"dataset_id": "t", "mapping": mapping, "options": {"seed": seed}})
    began, used = time.perf_counter(), time.process_time()
    found = analyze(Path(sys.argv[1]), request, threads=2, on_step=lambda step: None)
    json.dumps(found.report)
    walls.append(time.perf_counter() - began)
    cpus.append(time.process_time() - used)
cpu = statistics.median(cpus[1:])
print(json.dumps({"seconds": statistics.median(walls[1:]), "cpu": cpu, "bytes": most_bytes() - before}))
"""


def main() -> None:
    """Print a table for rows and one for covariates, and draw both."""
    print(
        "\nA comprehensive analysis (all that applies, diagnostics, figures' specifications, JSON) by size; 2 threads"
    )
    points: list[dict[str, float | str]] = []
    sizes = [(rows, _BASE_COVARIATES, "rows") for rows in _ROWS]
    sizes += [(_BASE_ROWS, covariates, "covariates") for covariates in _COVARIATES]
    for rows, covariates, along in sizes:
        found = _measure(rows, covariates)
        data = rows * (covariates + 2) * 8
        times = found["bytes"] / data
        print(
            f"  {rows:>9,} rows x {covariates:>2} covariates: {found['seconds']:8.3f} s, {found['cpu']:8.3f} s of CPU, "
            f"{found['bytes'] / 2**20:8.1f} MiB, {times:5.1f}x the data"
        )
        points.append({"along": along, "size": rows if along == "rows" else covariates, **found})
    _PICTURE.write_bytes(render_svg(_picture(points)))
    print(f"  drawn: docs/images/{_PICTURE.name}")


def _measure(rows: int, covariates: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = _table(Path(folder), rows, covariates)
        done = subprocess.run(
            [sys.executable, "-c", _ONCE, str(path), str(covariates)],
            check=True, capture_output=True, text=True, env=os.environ,
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _table(folder: Path, rows: int, covariates: int) -> Path:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((rows, covariates))
    w = (rng.random(rows) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(int)
    y = 2.0 * w + x.sum(axis=1) + rng.standard_normal(rows)
    source = folder / "source.parquet"
    pl.DataFrame({"y": y, "w": w, **{f"x{at}": x[:, at] for at in range(covariates)}}).write_parquet(source)
    table = read_table(source, name=source.name, limits=Limits(), options=ReadOptions())
    write_parquet(table, folder / "table.parquet")
    return folder / "table.parquet"


def _picture(points: Sequence[dict[str, float | str]]) -> dict[str, Json]:
    panels = []
    for along, title in (("rows", f"Rows, {_BASE_COVARIATES} covariates"), ("covariates", "Covariates, 100,000 rows")):
        rows = [point for point in points if point["along"] == along]
        base = alt.Chart(alt.InlineData(values=rows)).encode(
            x=alt.X("size:Q", scale=alt.Scale(type="log"), axis=alt.Axis(title=title, grid=False, values=_sizes(rows)))
        )
        line = base.mark_line(point=True).encode(
            y=alt.Y("seconds:Q", scale=alt.Scale(type="log"), axis=alt.Axis(title="Seconds", tickCount=4))
        )
        panels.append(line.properties(width=260, height=180))
    chart = alt.hconcat(*panels).properties(title="Time of a comprehensive analysis")
    spec: dict[str, Json] = chart.to_dict()
    said = "; ".join(f"{point['size']:,} {point['along']}: {point['seconds']:.2f} s" for point in points)
    spec["description"] = f"Time of a comprehensive analysis by its size. {said}."
    return spec


def _sizes(rows: Sequence[dict[str, float | str]]) -> list[float]:
    return [float(row["size"]) for row in rows]
