from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from cqox.analysis.roles import binary, covariate_matrix, group_codes, numeric, period_codes, probability
from cqox.errors import InvalidRequest, UnusableData


@dataclass(frozen=True)
class Info:
    name: str
    kind: str = "category"
    count: int = 0


def columns(frame: pl.DataFrame, kind: str = "category") -> dict[str, Info]:
    return {name: Info(name, "real" if frame[name].dtype.is_numeric() else kind) for name in frame.columns}


def test_numbers_keep_their_values_and_gaps() -> None:
    np.testing.assert_array_equal(numeric(pl.Series("a", [1, None, 3]), role="y"), [1.0, np.nan, 3.0])


def test_a_moment_within_a_day_is_a_part_of_a_day() -> None:
    moments = pl.Series("t", [datetime(1970, 1, 1, 12), datetime(1970, 1, 2)])
    np.testing.assert_array_equal(numeric(moments, role="time"), [0.5, 1.0])


def test_words_where_numbers_are_due_are_refused_with_examples() -> None:
    with pytest.raises(InvalidRequest, match=r"'a' cannot be mapped as y.*'x'") as caught:
        numeric(pl.Series("a", ["x", "z"]), role="y")
    assert caught.value.field == "mapping.y"


@pytest.mark.parametrize("read", [numeric, lambda series, role: binary(series, role=role, notes=[])])
def test_a_few_words_among_numbers_are_named(read) -> None:
    series = pl.Series("price", [*(f"{number}.5" for number in range(40)), "12%", None, "1.2.3"])
    with pytest.raises(InvalidRequest) as caught:
        read(series, role="y")
    assert (
        "40 of 42 values are numbers. Correct the other cells ('12%', '1.2.3'), or leave them empty."
        in caught.value.detail
    )


def test_a_binary_of_words_says_which_is_one() -> None:
    notes: list[str] = []
    np.testing.assert_array_equal(
        binary(pl.Series("a", ["はい", "いいえ", None]), role="y", notes=notes), [1, 0, np.nan]
    )
    assert "'いいえ' counts as 0" in notes[0]


def test_three_values_are_no_binary() -> None:
    with pytest.raises(InvalidRequest, match="3 levels"):
        binary(pl.Series("a", ["x", "y", "z"]), role="post", notes=[])
    with pytest.raises(UnusableData, match="1 distinct"):
        binary(pl.Series("a", ["x", "x"]), role="post", notes=[])


def test_groups_are_numbered_in_their_order_whatever_the_order_of_rows() -> None:
    np.testing.assert_array_equal(group_codes(pl.Series("a", ["b", "a", None, "b"])), [1, 0, -1, 1])
    np.testing.assert_array_equal(group_codes(pl.Series("a", [10, 2, 10])), [1, 0, 1])


def test_periods_have_codes_and_values_on_their_scale() -> None:
    years = period_codes(pl.Series("t", [2004, 2001, 2004]))
    np.testing.assert_array_equal(years.codes, [1, 0, 1])
    np.testing.assert_array_equal(years.values, [2001.0, 2004.0])
    assert years.labels is None
    days = period_codes(pl.Series("t", [date(1970, 1, 3), date(1970, 1, 1)]))
    np.testing.assert_array_equal(days.values, [0.0, 2.0])
    assert days.labels == ("1970-01-01", "1970-01-03")
    words = period_codes(pl.Series("t", ["第2期", "第1期"]))
    assert (words.codes.tolist(), words.values.tolist(), words.labels) == ([1, 0], [0.0, 1.0], ("第1期", "第2期"))


def test_words_become_one_column_for_each_level_beyond_the_first() -> None:
    frame = pl.DataFrame({"x": [1.5, 2.5, None], "c": ["b", "a", None]})
    notes: list[str] = []
    made = covariate_matrix(frame, columns(frame), ["x", "c"], role="covariates", notes=notes)
    assert made.labels == ("x", "c=b")
    np.testing.assert_array_equal(made.matrix, [[1.5, 1.0], [2.5, 0.0], [np.nan, np.nan]])


def test_codes_become_one_column_for_each_level_beyond_the_first_in_their_own_order() -> None:
    frame = pl.DataFrame({"c": [10, 2, None, 7], "d": [date(2024, 1, 1), None, date(2024, 2, 1), date(2024, 1, 1)]})
    codes = {name: Info(name, "category") for name in frame.columns}
    notes: list[str] = []
    made = covariate_matrix(frame, codes, ["c", "d"], role="covariates", notes=notes)
    assert made.labels == ("c=7", "c=10", "d=2024-02-01")
    np.testing.assert_array_equal(made.matrix, [[0, 1, 0], [0, 0, np.nan], [np.nan, np.nan, 1], [1, 0, 0]])
    assert notes == []


def test_codes_of_many_levels_are_absorbed_and_those_that_identify_rows_are_refused() -> None:
    frame = pl.DataFrame({"icd": [number % 60 for number in range(300)], "row": range(300)})
    codes = {name: Info(name, "category") for name in frame.columns}
    made = covariate_matrix(frame, codes, ["icd"], role="covariates", notes=[])
    assert [series.name for series in made.absorbed] == ["icd"]
    with pytest.raises(InvalidRequest, match="'icd' has 60 different levels in 300 rows"):
        covariate_matrix(frame, codes, ["icd"], role="propensity_covariates", notes=[])
    with pytest.raises(InvalidRequest, match="'row' has 300 different levels in 300 rows, too many"):
        covariate_matrix(frame, codes, ["row"], role="covariates", notes=[])


def test_a_covariate_of_many_levels_is_absorbed_and_said() -> None:
    frame = pl.DataFrame({"village": [f"v{number % 60}" for number in range(300)]})
    notes: list[str] = []
    made = covariate_matrix(frame, columns(frame), ["village"], role="covariates", notes=notes)
    assert made.matrix.shape == (300, 0)
    assert [series.name for series in made.absorbed] == ["village"]
    assert "60 levels" in notes[0]


def test_free_text_as_a_covariate_is_refused() -> None:
    frame = pl.DataFrame({"comment": [f"text {number}" for number in range(100)]})
    with pytest.raises(InvalidRequest, match="100 different words"):
        covariate_matrix(frame, columns(frame, "text"), ["comment"], role="covariates", notes=[])


def test_a_known_propensity_is_checked() -> None:
    frame = pl.DataFrame({"p": [0.5, 1.0], "l": [-0.5, 0.1], "ok": [-0.5, 0.0]})
    with pytest.raises(InvalidRequest, match="'p' has 1 value"):
        probability(frame, {"pscore": "p"})
    with pytest.raises(InvalidRequest, match="above 0"):
        probability(frame, {"log_propensity": "l"})
    np.testing.assert_allclose(probability(frame, {"log_propensity": "ok"}), [np.exp(-0.5), 1.0])
    assert probability(frame, {}) is None
