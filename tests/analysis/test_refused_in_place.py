"""Files in place with values that no analysis can use."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis import engine_sample
from cqox.analysis.run import analyze
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import CqoxError, InvalidRequest, SourceDown, UnusableData
from tests.analysis.in_place_runs import MAPPING, in_files, request


@pytest.mark.parametrize("rows", [100, 10_000])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused_as_those_of_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, value: float
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    y = np.random.default_rng(0).normal(size=400)
    y[[5, 7, 9]] = value, value, np.nan
    pl.DataFrame({"y": y, "t": np.arange(400) % 2}).write_parquet(tmp_path / "a.parquet")
    write_parquet(
        read_table(tmp_path / "a.parquet", name="a", limits=Limits(), options=ReadOptions()), tmp_path / "stored"
    )
    mapping = {"y": "y", "treatment": "t"}
    with pytest.raises(UnusableData) as memory:
        analyze(tmp_path / "stored", request(mapping), threads=1, on_step=print)
    with pytest.raises(UnusableData) as found:
        in_files(tmp_path, mapping)
    assert "infinite values in 2 rows" in str(memory.value)
    assert str(found.value) == str(memory.value)


@pytest.mark.parametrize("rows", [100, 10_000])
@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        ({"y": [2.5] * 400, "t": [0, 1] * 200}, UnusableData, r"'y' is constant \(2.5 in 400 rows\)"),
        ({"y": [2.5] * 399 + [None], "t": [0, 1] * 200}, UnusableData, r"constant \(2.5 in 399 rows\)"),
        ({"y": [1.5, 2.5] * 200, "t": [0.0] * 400}, UnusableData, "'0'"),
        ({"y": [1.5, 2.5] * 200, "t": [None] * 400}, InvalidRequest, "'t' has no value in any row"),
        ({"y": pl.Series([], dtype=pl.Float64), "t": pl.Series([], dtype=pl.Int64)}, UnusableData, "'t' has no rows"),
        ({"y": [], "t": []}, UnusableData, "'t' has no rows"),
    ],
)
def test_what_is_wrong_is_said_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, values: dict[str, object], error: type[CqoxError],
    reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    pl.DataFrame(values).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(error, match=reason):
        in_files(tmp_path, {"y": "y", "treatment": "t"})


def test_damaged_files_are_a_source_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(SourceDown, match="'lake' cannot be read"):
        in_files(tmp_path, MAPPING)
