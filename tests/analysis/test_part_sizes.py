"""Sizes of tables in files, by which they are read whole or not."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from cqox.analysis import part_sizes
from cqox.analysis.part_sizes import fits_memory
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits

REQUEST = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": {"y": "a", "treatment": "b"}})


def fits(*files: Path, text: bool = False, single: bool = False, **limits: int) -> bool:
    return fits_memory(files, is_text=text, is_single=single, request=REQUEST, limits=Limits(**limits))


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for path in paths:
        pl.DataFrame({"a": [1.5] * 50, "b": [1] * 50, "c": [2] * 50}).write_parquet(path)
    return paths


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({}, True), ({"max_rows": 100}, True), ({"max_rows": 99}, False), ({"max_cells": 300}, True),
        ({"max_cells": 299}, False), ({"max_bytes": 100}, False),
    ],
)  # fmt: skip
def test_parts_are_read_within_the_limits_of_an_upload(parts: list[Path], limits: dict[str, int], wanted: bool) -> None:
    assert fits(*parts, **limits) == wanted


def test_joined_parts_are_as_large_as_their_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"a": [1.5] * 100_000, "b": [1] * 100_000}).write_parquet(path)
    assert path.stat().st_size < 100_000
    assert not fits(path, max_bytes=1_000_000)
    assert fits(path, max_bytes=1_600_000)
    assert fits(path, max_bytes=1_000_000, single=True)


def test_mapped_cells_count_for_parts_alone(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_sizes, "CELLS_IN_MEMORY", 200)
    assert fits(*parts)
    monkeypatch.setattr(part_sizes, "CELLS_IN_MEMORY", 199)
    assert not fits(*parts)
    assert fits(*parts, single=True)


def test_rows_of_text_are_estimated_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "1.25,2,3\n" * 400_000)
    assert fits(path, text=True, max_rows=440_000)
    assert not fits(path, text=True, max_rows=360_000)
    assert not fits(path, text=True, max_cells=1_100_000)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()[: 2**20] * 5))
    assert not fits(packed, text=True, max_rows=1_000)


def test_a_file_that_cannot_be_read_is_for_its_reader_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    (tmp_path / "a.csv.gz").write_bytes(b"no gzip")
    assert fits(tmp_path / "a.parquet")
    assert fits(tmp_path / "a.csv.gz", text=True)
    assert fits(tmp_path / "absent.parquet")
