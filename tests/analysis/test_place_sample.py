"""Columns of a table in place with all rows, or with some."""

from pathlib import Path

import polars as pl
import pytest

from cqox.analysis import engine_sample, place_sample
from cqox.analysis.place_sample import LookedAt, looked_at, whole_table
from cqox.engines.place_opening import opened_table

ROWS = 4_000


def no_server(question: object) -> bytes:
    raise AssertionError(question)


def seen(folder: Path, *, key: str | None = None) -> LookedAt:
    number = pl.int_range(ROWS, eager=True)
    frame = pl.DataFrame({"y": number * 0.5, "row": number, "kind": "k" + (number % 3).cast(str)})
    frame.write_parquet(folder / "t.parquet")
    place = {"source": "lake", "table": "t", "files": [str(folder / "t.parquet")]}
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=no_server) as table:
        whole, columns = whole_table(table, ["kind", "y"])
        assert (whole.columns, whole.height, columns["kind"].levels) == (["kind", "y"], ROWS, ("k0", "k1", "k2"))
        return looked_at(table, key=key)


def test_a_small_table_is_there_whole(tmp_path: Path) -> None:
    found = seen(tmp_path)
    assert (found.frame.height, found.sample) == (ROWS, None)
    assert list(found.columns) == ["y", "row", "kind"]


def test_of_a_larger_table_some_rows_are_there_and_its_columns_are_those_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", ROWS - 1)
    monkeypatch.setattr(place_sample, "LOOKED_AT", 1_500)
    by_number, by_key = seen(tmp_path), seen(tmp_path, key="row")
    for found in (by_number, by_key):
        assert found.sample is not None
        assert (found.sample.rows, found.sample.of) == (found.frame.height, ROWS)
        assert 1_300 < found.frame.height < 1_700
        assert (found.columns["row"].count, found.columns["row"].maximum) == (ROWS, ROWS - 1)
        assert found.frame["row"].is_sorted()
    # Rows of one file are numbered as this key does.
    assert by_key.frame.equals(by_number.frame)
    monkeypatch.setattr(place_sample, "_MOST_CELLS", 900)
    monkeypatch.setattr(place_sample, "_FEWEST_ROWS", 100)
    assert 200 < seen(tmp_path).frame.height < 400


def test_a_draw_that_is_too_coarse_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", ROWS - 1)
    monkeypatch.setattr(place_sample, "LOOKED_AT", 100)
    monkeypatch.setattr(place_sample, "_FEWEST_ROWS", 100)
    # As if no fewer than about every other row could be drawn.
    monkeypatch.setattr(place_sample, "DRAWS", 20 * place_sample.DRAWS)
    assert 100 <= seen(tmp_path).frame.height <= 200
