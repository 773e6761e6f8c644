from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import _large
from benchmarks._large import Run, difference, linked, measured, stored
from benchmarks._large_runs import COVARIATES


def run(**numbers: list[float | None]) -> Run:
    return {"wall": 1.0, "cpu": 1.0, "mib": 1.0, "by": "this", "numbers": numbers}


def test_a_table_of_many_parts_has_all_its_rows_and_nothing_else_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_large, "_PART_ROWS", 400)
    table = stored(tmp_path, 1_000)
    found = pl.read_parquet(table)
    assert found["unit"].to_list() == list(range(1_000))
    assert found.select(COVARIATES).n_unique() == 1_000
    assert {file.name.partition(".")[0] for file in tmp_path.iterdir()} == {table.stem}


def test_a_disk_without_room_is_found_before_it_is_full(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="rows need"):
        stored(tmp_path, 10**12)


def test_links_take_no_room(tmp_path: Path) -> None:
    table = stored(tmp_path, 100)
    links = linked(table, 3)
    assert {link.stat().st_ino for link in links} == {table.stat().st_ino}
    assert len({link.name for link in links} | {table.name}) == 4


def test_the_difference_is_the_largest_of_what_both_have() -> None:
    left, right = run(a=[1.0, 2.0], b=[3.0, None], c=[9.0, 9.0]), run(a=[1.0, 2.002], b=[3.0, 1.0])
    assert difference(left, right) == pytest.approx(0.001, rel=0.01)


def test_sums_of_rows_give_the_numbers_of_memory_in_a_process_of_their_own(tmp_path: Path) -> None:
    table = stored(tmp_path, 2_000)
    names = ["difference_in_means", "dml_plr"]
    memory, sums = (measured(kind, [table], names) for kind in ("memory report", "duckdb sums"))
    assert memory["by"] == "memory"
    assert sums["by"].startswith("duckdb ")
    assert set(sums["numbers"]) == set(names)
    assert difference(memory, sums) < 1e-8
    assert all(np.isfinite([run["cpu"], run["wall"]]).all() and run["mib"] > 50 for run in (memory, sums))
