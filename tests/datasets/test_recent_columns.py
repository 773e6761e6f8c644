"""Columns kept in memory, those used last."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cqox.datasets.parquet_store import ColumnsOnDisk
from cqox.datasets.recent_columns import RecentColumns

ROWS = 1000


def column(name: str) -> pl.Series:
    return pl.Series(name, range(ROWS), dtype=pl.Int64)


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecentColumns, "MOST_BYTES", 2 * 8 * ROWS)


@pytest.mark.usefixtures("room_for_two")
def test_the_column_used_least_recently_goes_first() -> None:
    recent = RecentColumns()
    recent.put(column("a"))
    recent.put(column("b"))
    assert recent.get("a") is not None
    recent.put(column("c"))
    assert recent.get("b") is None
    assert [recent.get(name) is not None for name in "ac"] == [True, True]
    recent.put(column("a"))
    recent.put(column("d"))
    assert [recent.get(name) is not None for name in "acd"] == [False, True, True]


@pytest.mark.usefixtures("room_for_two")
def test_a_column_larger_than_the_bound_is_not_kept() -> None:
    recent = RecentColumns()
    recent.put(pl.Series("a", range(3 * ROWS), dtype=pl.Int64))
    assert recent.get("a") is None


def test_a_column_is_read_once_and_again_for_other_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    pl.DataFrame([column("a"), column("b")]).write_parquet(path)
    table = ColumnsOnDisk(path=path, height=ROWS)
    read, reads = pl.read_parquet, list[object]()

    def counted(source: Path, **options: Any) -> pl.DataFrame:
        reads.append(options["columns"])
        return read(source, **options)

    monkeypatch.setattr(pl, "read_parquet", counted)
    assert table["a"].equals(column("a"))
    assert table["a"].equals(column("a"))
    assert reads == [["a"]]
    # What replaces a column counts from the moment when it is known.
    replaced: dict[str, pl.Series] = {}
    remedied = ColumnsOnDisk(path=path, height=ROWS, replaced=replaced)
    assert remedied["b"].equals(column("b"))
    replaced["b"] = pl.Series("b", [0] * ROWS)
    assert remedied["b"].sum() == 0
    kept = pl.Series([number < 10 for number in range(ROWS)])
    assert ColumnsOnDisk(path=path, height=10, kept=kept)["a"].len() == 10
