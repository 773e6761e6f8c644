"""A table is guessed at alike when it has just been read and when it is stored."""

import random
from pathlib import Path

import polars as pl
import pytest

from cqox.analysis.inferred_roles import inferred_as_read, inferred_on_disk
from cqox.datasets import Limits, ReadOptions, open_table, write_parquet


@pytest.mark.parametrize("units", [20, 5000])
def test_the_same_roles_are_found_as_read_and_as_stored(tmp_path: Path, units: int) -> None:
    draw = random.Random(3)
    rows = [(f"s{unit}", 2000 + period, unit % 2, period) for period in range(6) for unit in range(units)]
    frame = pl.DataFrame(
        {
            "store_id": [row[0] for row in rows],
            "year": [row[1] for row in rows],
            "treated": [row[2] for row in rows],
            "opened": [int(row[2] and row[3] >= 3) for row in rows],
            "sales": [round(draw.random(), 4) for _ in rows],
        }
    )
    source, stored = tmp_path / "table.csv", tmp_path / "table.parquet"
    frame.write_csv(source)
    with open_table(source, name="table", limits=Limits(), options=ReadOptions()) as table:
        write_parquet(table, stored)
        as_read = inferred_as_read(table)
    expected = {"y": "sales", "treatment": "opened", "unit_id": "store_id", "time": "year"}
    for found in (as_read, inferred_on_disk(stored, table.description)):
        assert {role: column for role, column in found.mapping.items() if role != "covariates"} == expected
