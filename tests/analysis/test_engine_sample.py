from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis.engine_sample import EngineSample, stored_rows
from cqox.analysis.opened import open_request
from cqox.analysis.own_columns import OwnColumns
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators.numerics.moments import ArrayMoments
from cqox.estimators.numerics.portable_folds import whole_number_keys

ROWS = 5_000


def sample(folder: Path, mapping: dict[str, object]) -> EngineSample:
    number = np.arange(ROWS)
    word = np.where(number == 4_321, "rare", "usual")
    frame = pl.DataFrame({"y": number % 17, "t": number % 2, "word": word, "unit": number // 4, "row": number})
    frame.write_parquet(folder / "raw.parquet")
    read = read_table(folder / "raw.parquet", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(read, folder / "t.parquet")
    request = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": {"y": "y", "treatment": "t", **mapping}})
    own = OwnColumns.of(frame.columns)
    added = {own.row: number, own.row_key: whole_number_keys(number), own.fold_key: whole_number_keys(number // 4)}
    columns = {**{name: frame[name].to_numpy() for name in frame.columns}, **added}
    source = ArrayMoments(columns={**columns, "word": word.astype(object)})
    path = folder / "t.parquet"
    read = partial(stored_rows, path)
    return EngineSample(opened=open_request(path, request), source=source, own=own, read=read, about=1_000)


@pytest.mark.parametrize("unit", [{"unit_id": "unit"}, {}])
def test_a_sample_has_about_its_rows_and_every_level(tmp_path: Path, unit: dict[str, object]) -> None:
    found = sample(tmp_path, {"covariates": ["word"], **unit})
    rows, by_unit = found.rows()
    assert by_unit == bool(unit)
    assert (np.diff(rows) > 0).all()
    assert 800 < len(rows) < 1_200
    assert 4_321 in rows
    if unit:
        others = np.setdiff1d(rows, [4_321]) // 4
        assert (np.unique(others, return_counts=True)[1] == 4).all()


def test_rows_are_read_by_their_numbers_whatever_columns_are_called(tmp_path: Path) -> None:
    found = sample(tmp_path, {})
    assert found.read(np.array([3, 4_999]), None)["row"].to_list() == [3, 4_999]
    assert found.read(np.array([3, 4_999]), ["word", "unit"]).rows() == [("usual", 0), ("usual", 1_249)]


@pytest.mark.parametrize(
    "rows", [[], [0], [4_999], [*range(1_000, 1_010)], [999, 1_000, 2_999, 2_001], [*range(4_500, 5_000), 0]]
)
def test_rows_of_any_part_of_a_table_are_read(tmp_path: Path, rows: list[int]) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"row": np.arange(ROWS), "x": np.arange(ROWS) % 7}).write_parquet(path, row_group_size=1_000)
    found = stored_rows(path, np.array(rows, dtype=np.int64))
    assert found["row"].sort().to_list() == sorted(rows)
    assert found["x"].to_list() == [row % 7 for row in found["row"]]
