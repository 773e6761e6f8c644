import datetime

import numpy as np
import polars as pl
import pytest

from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.columns import codes, numbers, regressors

FRAME = pl.DataFrame({
    "y": [1.5, None, float("nan"), 3.0],
    "flag": [True, False, None, True],
    "word": ["b", "a", None, "b"],
    "day": [datetime.date(2024, 1, 2), datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 2)],
    "level": pl.Series(["x", "y", "x", None], dtype=pl.Categorical),
})  # fmt: skip
ARRAYS = {"y": np.array([1.5, np.nan, np.nan, 3.0]), "word": np.array(["b", "a", None, "b"], dtype=object)}


@pytest.mark.parametrize("data", [FRAME, ARRAYS])
def test_numbers_are_floats_with_nan_for_empty_cells(data) -> None:
    assert numbers(data, "y", "y").tolist() == [
        1.5,
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(np.nan, nan_ok=True),
        3.0,
    ]


def test_true_is_one() -> None:
    assert numbers(FRAME, "flag", "treatment")[[0, 1, 3]].tolist() == [1.0, 0.0, 1.0]
    assert numbers({"flag": [True, False]}, "flag", "treatment").tolist() == [1.0, 0.0]


@pytest.mark.parametrize("data", [FRAME, ARRAYS])
def test_labels_are_numbered_in_their_order(data) -> None:
    assert codes(data, "word", "unit").values.tolist() == [1, 0, -1, 1]
    assert codes(data, "word", "unit").levels == 2


@pytest.mark.parametrize(("name", "expected"), [("day", [1, 0, -1, 1]), ("flag", [1, 0, -1, 1]), ("y", [0, -1, -1, 1])])
def test_dates_flags_and_numbers_are_labels_too(name: str, expected: list[int]) -> None:
    assert codes(FRAME, name, "time").values.tolist() == expected


def test_categories_are_labels() -> None:
    assert codes(FRAME, "level", "unit") == (pytest.approx([0, 1, 0, -1]), 2)


def test_words_become_a_column_for_each_level_but_the_first() -> None:
    found = regressors(FRAME, ["y", "word"])
    assert found.shape == (4, 2)
    assert found[[0, 1, 3], 1].tolist() == [1.0, 0.0, 1.0]
    assert np.isnan(found[2, 1])


def test_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="no column 'wrd'") as caught:
        codes(FRAME, "wrd", "unit")
    assert caught.value.field == "unit"
    assert caught.value.choices[0] == "word"


def test_words_are_no_numbers_and_identifiers_no_covariates() -> None:
    with pytest.raises(UnusableData, match="does not hold numbers"):
        numbers(FRAME, "word", "y")
    with pytest.raises(UnusableData, match="looks like an identifier"):
        regressors({"id": [f"row {each}" for each in range(150)]}, ["id"])
    with pytest.raises(UnusableData, match="not one-dimensional"):
        numbers({"y": np.ones((3, 2))}, "y", "y")


def test_frames_of_every_library_give_the_same_answer() -> None:
    import pandas as pd
    import polars as pl

    import cqox

    columns = {"y": [1.0, 2.0, 4.0, 3.0, 5.0, 2.5, 3.5, 1.5] * 10, "w": [0, 1] * 40}
    answers = [
        cqox.power(data, y="y", treatment="w").effect
        for data in (columns, pd.DataFrame(columns), pl.DataFrame(columns))
    ]
    assert answers[0] == pytest.approx(answers[1], rel=1e-12)
    assert answers[0] == pytest.approx(answers[2], rel=1e-12)


@pytest.mark.parametrize("largest", [1e200, -1e200, 1e-200])
def test_a_column_whose_squares_are_no_numbers_is_refused(largest: float) -> None:
    with pytest.raises(UnusableData, match="rescale the column") as caught:
        numbers({"y": [0.0, largest, float("nan")]}, "y", "y")
    assert caught.value.field == "y"
    assert list(numbers({"y": [0.0, 1e-60, 1.0]}, "y", "y")) == [0.0, 1e-60, 1.0]
