"""Copies of measured rows, and rows that are equal by nature."""

import numpy as np
import polars as pl
import pytest

from tests.datasets.conftest import Read

RNG = np.random.default_rng(7)


def measured(rows: int, decimals: int) -> pl.DataFrame:
    rng = np.random.default_rng(rows + decimals)
    return pl.DataFrame(
        {
            "y": rng.normal(10, 5, rows).round(decimals),
            "w": rng.integers(0, 2, rows),
            "x": rng.normal(0, 1, rows).round(decimals),
        }
    )


@pytest.mark.parametrize("rows", [60, 300, 2000])
@pytest.mark.parametrize("decimals", [1, 2, 6])
def test_rows_without_copies_have_no_finding(read: Read, rows: int, decimals: int) -> None:
    frame = measured(rows, decimals)
    for columns in (["y"], ["y", "w"], ["y", "w", "x"]):
        assert read(frame.select(columns).write_csv()).findings == ()


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_copies_of_measured_rows_are_found(read: Read, share: float) -> None:
    frame = measured(300, 4)
    copied = pl.concat([frame, frame.head(int(300 * share))])
    (finding,) = read(copied.write_csv()).findings
    assert (finding.code, finding.severity, finding.rows[0]) == ("duplicate-rows", "caps", 301)
    assert f"{int(300 * share)} rows of {len(copied)}" in finding.message
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"drop_rows": [{"duplicates": True}]}


def test_one_copy_in_a_thousand_rows_is_a_note(read: Read) -> None:
    frame = measured(1000, 6)
    (finding,) = read(pl.concat([frame, frame.head(1)]).write_csv()).findings
    assert finding.severity == "note"


def test_rows_of_whole_numbers_repeat_by_nature(read: Read) -> None:
    frame = pl.DataFrame({"w": RNG.integers(0, 2, 500), "y": RNG.integers(0, 2, 500)})
    assert read(frame.write_csv()).findings == ()


def test_censored_and_coarse_measurements_repeat_by_nature(read: Read) -> None:
    income = np.minimum(RNG.gamma(2, 10_000, 2000).round(2), 25_862.32)
    capped = pl.DataFrame({"income": income, "age": RNG.integers(20, 60, 2000), "w": RNG.integers(0, 2, 2000)})
    assert read(capped.write_csv()).findings == ()
    halves = pl.DataFrame({"age": RNG.integers(40, 90, 2000) / 2, "w": RNG.integers(0, 2, 2000)})
    assert read(halves.write_csv()).findings == ()


def test_copies_with_an_id_of_their_own_are_no_exact_copies(read: Read) -> None:
    frame = measured(100, 4)
    numbered = pl.concat([frame, frame]).with_row_index("id")
    assert read(numbered.write_csv()).findings == ()
