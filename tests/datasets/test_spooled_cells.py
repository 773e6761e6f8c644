"""Cells of a large text on disk: the same table as from memory, in less of it."""

import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cqox.analysis.workers.environment import worker_environment
from cqox.datasets import Table, delimited, parsed_cells
from cqox.datasets.spooled_cells import SpooledCells
from cqox.errors import CqoxError
from tests.datasets.conftest import Read

_MIB = 1 << 20
_CELLS = st.sampled_from(
    ["", "1", "2.5", "1,5", "-999", "東京", "合計", "NA", " x ", "2024-01-05", "007", 'a "b"', "∞"]
)
_TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(_CELLS, min_size=width, max_size=width), min_size=1, max_size=12)
)

_READ = """
import resource, sys
from pathlib import Path
from cqox.analysis.work import perform, warm
warm()
path, most = Path(sys.argv[1]), int(sys.argv[2])
status = Path("/proc/self/status").read_text(encoding="ascii")
used = 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (used + most, used + most))
arguments = {"path": str(path), "name": path.name, "folder": str(path.parent)}
limits = {"max_bytes": 1 << 31, "max_rows": 20_000_000}
answer, _ = perform("ingest", {**arguments, "limits": limits}, lambda step: None)
print(answer["rows"])
"""


def _outcome(read: Read, content: str, spooled_bytes: int, **options: object) -> tuple[object, ...]:
    with (
        mock.patch.object(delimited, "_SPOOLED_BYTES", spooled_bytes),
        mock.patch.object(parsed_cells, "_HELD_BYTES", 0),
    ):
        try:
            table = read(content, **options)
        except CqoxError as error:
            return (type(error), str(error))
    assert isinstance(table, Table)
    return (table.frame.to_dict(as_series=False), table.frame.schema, table.description)


def _text(rows: list[list[str]], names: list[str], blank: int) -> str:
    lines = [",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row) for row in [names, *rows]]
    lines.insert(min(blank, len(lines)), "")
    return "\n".join(lines) + "\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(rows=_TABLES, blank=st.integers(2, 20), unnamed=st.booleans())
def test_a_table_is_the_same_from_disk_and_from_memory(
    read: Read, rows: list[list[str]], blank: int, unnamed: bool
) -> None:
    names = [f"c{place}" for place in range(len(rows[0]))]
    names[0] = "" if unnamed else names[0]
    content = _text(rows, names, blank)
    assert _outcome(read, content, 0) == _outcome(read, content, 1 << 40)


@pytest.mark.parametrize(
    "options", [{"header_rows": 2}, {"header_row": 2}, {"fill_down": ("a",)}, {"na": ("3",)}, {"decimal": ","}]
)
def test_options_mean_the_same_for_cells_on_disk(read: Read, options: dict[str, object]) -> None:
    content = "a,b,c\nu,v,w\n1,2,3\n4,,6\n1,2,3\n"
    assert _outcome(read, content, 0, **options) == _outcome(read, content, 1 << 40, **options)


@pytest.mark.parametrize("content", ["Sales,,\na,b,c\n1,2,3\n4,5,6\n", "a,b,\n1,2,\n4,5,\n,,\n", ",a\n0,5\n1,6\n"])
def test_titles_and_empty_margins_are_the_same_for_cells_on_disk(read: Read, content: str) -> None:
    assert _outcome(read, content, 0) == _outcome(read, content, 1 << 40)


def test_without_room_on_disk_the_table_is_read_into_memory(read: Read) -> None:
    with mock.patch.object(SpooledCells, "written", side_effect=OSError(28, "No space left on device")):
        found = _outcome(read, "a,b\n1,x\n2,y\n", 0)
    assert found == _outcome(read, "a,b\n1,x\n2,y\n", 1 << 40)


def _written(path: Path, kind: str, size_bytes: int) -> int:
    rng, rows = np.random.default_rng(1), 0
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            chunk = {"treated": rng.integers(0, 2, 200_000), **{f"x{i}": rng.normal(size=200_000) for i in range(4)}}
            number = pl.Series(np.arange(rows, rows + 200_000))
            frame = (
                pl.DataFrame(chunk)
                .with_columns(number=number)
                .with_columns(
                    remark=pl.format(
                        " ご意見 {} は、次のとおりです。{}", "number", pl.col("number") * 7919 % 1_000_003
                    ),
                    moment=pl.from_epoch(pl.col("number") * 7).dt.to_string("%Y-%m-%d %H:%M:%S"),
                    amount=pl.format("{}円", pl.col("number") * 7919),
                )
            )
            frame.select(_COLUMNS[kind]).write_csv(file, include_header=not rows)
            rows += 200_000
    return rows


_COLUMNS = {
    "numbers": ["treated", "x0", "x1", "x2", "x3"],
    "remarks": ["treated", "x0", "remark"],
    "moments": ["treated", "x0", "moment", "amount"],
}


def _read_within(path: Path, most_bytes: int) -> int:
    """Read a file in a process with the environment of a worker, within so much memory more than a warm one has."""
    given = {"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path), str(most_bytes)],
        check=False,
        capture_output=True,
        text=True,
        env=worker_environment(given, threads=2),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


@pytest.mark.parametrize(("kind", "size", "most"), [("numbers", 130, 500), ("remarks", 420, 600)])
def test_reading_takes_a_small_multiple_of_the_size_of_a_file(tmp_path: Path, kind: str, size: int, most: int) -> None:
    path = tmp_path / "large.csv"
    rows = _written(path, kind, size * _MIB)
    assert _read_within(path, most * _MIB) == rows


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["numbers", "remarks", "moments"])
def test_a_gigabyte_is_read_in_less_memory_than_its_size(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "large.csv"
    rows = _written(path, kind, 1000 * _MIB)
    # A warm worker has some 150 MiB by itself.
    assert _read_within(path, 700 * _MIB) == rows
