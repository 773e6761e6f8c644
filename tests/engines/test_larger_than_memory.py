"""A folder of Parquet files that its process has no memory for: summed, by groups that are spilled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.waiting import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.xdist_group("larger than memory"),
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's figures are read from /proc"),
]
_MIB = 2**20
_COLUMNS = 8
_SUMMED = 6
_ROWS, _UNITS = 5_000_000, 1_500_000
_ROOM_MIB = 288
"""Writable memory that the process may add to what it has after its imports."""
_LIMITED = f"""
import json, resource, sys, threading, time
from pathlib import Path
import polars as pl
from cqox.engines import SqlMoments, place_opening
from cqox.engines.place_columns import source_column
from cqox.estimators.numerics.moments import Column

def of_process(name):
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024

way, folder, spill = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
files = sorted(str(path) for path in folder.iterdir())
pl.DataFrame({{"a": [1.0]}}).lazy().select(pl.col("a").sum()).collect()
limit = of_process("VmData") + {_ROOM_MIB} * {_MIB}
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
if way == "memory":
    print(pl.read_parquet(files).height)
    sys.exit()
place_opening._MEMORY_BYTES = 96 * {_MIB}
spilled, done = [0], threading.Event()

def look():
    while not done.is_set():
        spilled.append(sum(each.stat().st_size for each in spill.glob("*") if each.exists()))
        time.sleep(0.02)

watch = threading.Thread(target=look, daemon=True)
watch.start()
place = {{"source": "lake", "table": "t", "files": files}}
with place_opening.opened_table(place, spill, threads=1, after_read=lambda: None, ask=None) as table:
    names = ["unit", *(f"x{{n}}" for n in range({_SUMMED}))]
    rows, aliases = table.columns(names)
    columns = {{name: source_column(alias, table.kinds[name]) for name, alias in aliases.items()}}
    moments = SqlMoments(engine=table.engine, table=rows, columns=columns)
    squares, groups = moments.squares([Column(name) for name in names[1:]], [Column("unit")])
    sums = moments.sums([Column(name) for name in names[1:]]).sums
done.set()
watch.join()
print(json.dumps({{
    "squares": squares.tolist(), "groups": groups, "sums": sums.tolist(), "engine": moments.name,
    "spilled": max(spilled), "peak": of_process("VmHWM"),
}}))
"""


def written(folder: Path, rows: int, units: int) -> None:
    """Write a table by parts, whose columns are small in files and 8 bytes a cell in memory."""
    rng, part = np.random.default_rng(5), 500_000
    folder.mkdir()
    for number, start in enumerate(range(0, rows, part)):
        size = min(part, rows - start)
        values = {f"x{n}": rng.integers(-50, 50, size) / 8 + 0.1 * n for n in range(_COLUMNS)}
        frame = pl.DataFrame({"unit": rng.integers(0, units, size), **values})
        frame.write_parquet(folder / f"part-{number:03}.parquet", row_group_size=100_000)


def streamed(folder: Path, units: int) -> tuple[list[float], list[float], int]:
    """Return sums, squared sums of units and the number of units, one file at a time in numpy."""
    sums, seen = np.zeros((_SUMMED, units)), np.zeros(units, dtype=bool)
    for path in sorted(folder.iterdir()):
        frame = pl.read_parquet(path)
        unit = frame["unit"].to_numpy()
        seen[unit] = True
        for n in range(_SUMMED):
            sums[n] += np.bincount(unit, weights=frame[f"x{n}"].to_numpy(), minlength=units)
    return [float(each.sum()) for each in sums], [float(each @ each) for each in sums], int(seen.sum())


def run(way: str, folder: Path, spill: Path) -> subprocess.CompletedProcess[str]:
    spill.mkdir()
    return subprocess.run(
        [sys.executable, "-c", _LIMITED, way, folder, spill], capture_output=True, text=True,
        timeout=PATIENCE_SECONDS * 10,
        env={"POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": ""}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    rows, units = _ROWS, _UNITS
    folder = tmp_path_factory.mktemp("larger") / "data"
    written(folder, rows, units)
    yield folder, rows, units
    for path in folder.iterdir():
        path.unlink()


def test_groups_of_a_folder_are_summed_in_less_memory_than_its_rows_take(
    table: tuple[Path, int, int], tmp_path: Path
) -> None:
    folder, rows, units = table
    in_memory = run("memory", folder, tmp_path / "none")
    assert in_memory.returncode != 0
    assert "memory allocation" in in_memory.stderr
    done = run("engine", folder, tmp_path / "spill")
    assert done.returncode == 0, done.stderr[-2_000:]
    found = json.loads(done.stdout)
    sums, squares, groups = streamed(folder, units)
    assert found["groups"] == groups
    assert found["sums"] == pytest.approx(sums, rel=1e-8)
    assert found["squares"] == pytest.approx(squares, rel=1e-8)
    assert found["spilled"] > 16 * _MIB
    in_memory_bytes = 8 * (_COLUMNS + 1) * rows
    assert found["peak"] < min(in_memory_bytes, 400 * _MIB)
    assert not list((tmp_path / "spill").iterdir())
