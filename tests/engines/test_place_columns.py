"""Columns that sums describe, against the same rows in a file that is uploaded."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.datasets import Column, Limits, ReadOptions, read_table
from cqox.engines import place_columns
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.place_columns import described_columns, source_column, typed
from cqox.engines.place_opening import opened_table
from cqox.estimators.data import Vector

ROWS = 400
FIELDS = ("kind", "dtype", "count", "missing", "infinite", "distinct", "minimum", "maximum", "levels", "level_counts")


def no_server(question: object) -> bytes:
    raise AssertionError(question)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(2)
    words = np.array(["north", "南", "it's"])[rng.integers(0, 3, ROWS)]
    return pl.DataFrame(
        {
            "real": pl.Series(np.where(np.arange(ROWS) % 9 == 0, np.nan, rng.normal(size=ROWS))),
            "none": pl.Series([None] * ROWS, dtype=pl.Float64),
            "half": rng.integers(0, 2, ROWS) / 2,
            "binary": rng.integers(0, 2, ROWS),
            "count": pl.Series(rng.integers(0, 50, ROWS), dtype=pl.Int32),
            "whole": rng.integers(-50, 50, ROWS),
            "shop_id": np.arange(ROWS) // 4,
            "word": words,
            "flag": rng.random(ROWS) < 0.5,
            "text": [f"{number} words of which each has many and more than sixty characters" for number in range(ROWS)],
            "day": pl.Series(np.arange(ROWS) // 4).cast(pl.Date),
            "at": pl.Series([datetime(1960, 1, 1, 12, 30, 15)] * (ROWS - 1) + [datetime(2026, 5, 1)]),
        }
    )


@pytest.fixture(scope="module")
def described(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Column]:
    folder = tmp_path_factory.mktemp("described")
    frame.write_parquet(folder / "t.parquet")
    place = {"source": "lake", "table": "t", "files": [str(folder / "t.parquet")]}
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=no_server) as table:
        rows, aliases = table.columns(frame.columns)
        total, found = described_columns(table, rows, aliases, exact=["shop_id"])
    assert total == ROWS
    return found


def test_columns_are_described_as_those_of_an_upload(
    frame: pl.DataFrame, described: dict[str, Column], tmp_path: Path
) -> None:
    frame.write_parquet(tmp_path / "t.parquet")
    uploaded = read_table(tmp_path / "t.parquet", name="t", limits=Limits(), options=ReadOptions())
    for column in uploaded.columns:
        ours = described[column.name]
        for field in FIELDS:
            if (column.name, field) != ("none", "dtype"):
                assert getattr(ours, field) == getattr(column, field), (column.name, field)
        assert ours.mean == pytest.approx(column.mean, nan_ok=True)


def test_numbers_of_which_the_first_rows_have_many_get_no_pass_of_their_own(
    frame: pl.DataFrame, described: dict[str, Column], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 60
    monkeypatch.setattr(place_columns, "_MOST_DISTINCT", most)
    monkeypatch.setattr(place_columns, "_HEAD_ROWS", ROWS // 2)
    statements: list[str] = []
    read = DuckDBEngine.read

    def noted(engine: DuckDBEngine, statement: str) -> list[Vector]:
        statements.append(statement)
        return read(engine, statement)

    monkeypatch.setattr(DuckDBEngine, "read", noted)
    frame.write_parquet(tmp_path / "t.parquet")
    place = {"source": "lake", "table": "t", "files": [str(tmp_path / "t.parquet")]}
    with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server) as table:
        rows, aliases = table.columns(frame.columns)
        _, found = described_columns(table, rows, aliases, exact=["shop_id"])
    expected = {name: min(column.distinct, most) for name, column in described.items()}
    assert {name: column.distinct for name, column in found.items()} == {**expected, "shop_id": 100, "text": ROWS}
    # The first half of the rows has only 50 days, and 25 shops.
    assert sum("(select distinct " in text for text in statements) == len(frame.columns) - len(["real", "whole"])


def test_categories_of_rows_have_the_levels_of_all(described: dict[str, Column]) -> None:
    found = typed(pl.DataFrame({"word": ["南"], "real": [1.0]}), described)
    assert found["word"].dtype == pl.Enum(["it's", "north", "南"])
    assert found["real"].dtype == pl.Float64


def test_a_column_is_summed_by_its_kind() -> None:
    assert (source_column("v0", "real").kind, source_column("v0", "real").floating) == ("number", True)
    assert source_column("v0", "moment").kind == "day"
