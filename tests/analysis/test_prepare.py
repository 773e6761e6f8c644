from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pytest

from cqox.analysis.mapping import check_mapping
from cqox.analysis.prepare import prepare
from cqox.contract import Options
from cqox.errors import InvalidRequest, UnusableData


@dataclass(frozen=True)
class Info:
    name: str
    kind: str = "real"
    count: int = 0


def prepared(frame: pl.DataFrame, roles: dict[str, object], **options: object):
    columns = {name: Info(name) for name in frame.columns}
    return prepare(frame, columns, roles, Options(**options))


PANEL = pl.DataFrame(
    {
        "y": [1.0, 2.0, 3.0, 5.0, 2.0, 2.5],
        "unit": ["a", "a", "b", "b", "c", "c"],
        "year": [2001, 2002, 2001, 2002, 2001, 2002],
        "first": [2002, 2002, 0, 0, None, None],
        "w": [0, 1, 0, 0, 0, 0],
    }
)


def test_a_cohort_of_dates_before_1970_is_a_start_and_not_never() -> None:
    days = [date(1960, 1, 1), date(1961, 1, 1)] * 2
    frame = pl.DataFrame(
        {"y": [1.0, 2.0, 3.0, 5.0], "unit": [1, 1, 2, 2], "day": days, "first": [days[1]] * 2 + [None] * 2}
    )
    data = prepared(frame, {"y": "y", "unit_id": "unit", "time": "day", "cohort": "first"}).contrasts[0].data
    assert data.treatment is not None
    assert data.treatment.tolist() == [0.0, 1.0, 0.0, 0.0]


def test_treatment_follows_from_time_and_cohort_and_units_without_one_are_never_treated() -> None:
    found = prepared(PANEL, {"y": "y", "unit_id": "unit", "time": "year", "cohort": "first"})
    data = found.contrasts[0].data
    np.testing.assert_array_equal(data.treatment, [0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(np.isnan(data.cohort), [False, False, True, True, True, True])
    assert any("never treated" in note for note in found.notes)


def test_the_units_of_a_panel_keep_their_names() -> None:
    roles = {"y": "y", "unit_id": "unit", "time": "year", "treatment": "w"}
    assert prepared(PANEL, roles).contrasts[0].data.unit_labels == ("a", "b", "c")
    del roles["time"]
    assert prepared(PANEL, roles).contrasts[0].data.unit_labels is None


def test_an_intervention_time_makes_the_post_indicator() -> None:
    found = prepared(PANEL, {"y": "y", "treatment": "w", "time": "year", "intervention_time": 2002.0})
    np.testing.assert_array_equal(found.contrasts[0].data.post, [0, 1, 0, 1, 0, 1])


def test_dates_are_not_compared_with_a_year() -> None:
    days = [date(1974, 1, 1), date(1976, 1, 1)] * 2
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0, 5.0], "unit": [1, 1, 2, 2], "day": days, "first": [1976, 1976, 0, 0]})
    roles = {"y": "y", "unit_id": "unit", "time": "day", "cohort": "first"}
    with pytest.raises(
        InvalidRequest, match=r"'day' contains dates, but 'first' contains numbers\. Send both as dates"
    ):
        prepared(frame, roles)
    with pytest.raises(InvalidRequest, match="'first' contains numbers, but 'day' contains dates"):
        prepared(frame, {**roles, "time": "first", "cohort": "day"})
    never = frame.with_columns(first=pl.lit(None, dtype=pl.Int64))
    np.testing.assert_array_equal(prepared(never, roles).contrasts[0].data.treatment, [0, 0, 0, 0])


def test_a_note_of_a_start_says_it_as_time_does() -> None:
    roles = {"y": "y", "treatment": "w", "time": "year", "intervention_time": 2002.0}
    assert "The role post is defined as year >= 2002." in prepared(PANEL, roles).notes


def test_rows_of_weight_0_are_left_out_of_every_contrast() -> None:
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0, 4.0, 6.0], "arm": list("abcab"), "s": [1.0, 2.0, 1.0, 0.0, 0.0]})
    found = prepared(frame, {"y": "y", "treatment": "arm", "weights": "s"})
    assert [contrast.data.y.tolist() for contrast in found.contrasts] == [[1.0, 2.0], [1.0, 3.0]]
    assert "2 rows have weight 0 and are excluded." in found.notes


def test_a_contrast_holds_only_the_rows_of_its_two_levels_in_every_array() -> None:
    frame = pl.DataFrame(
        {
            "y": [1.0, 2.0, 3.0, 4.0],
            "arm": ["a", "b", "c", "a"],
            "x": [1.0, 2.0, 3.0, 4.0],
            "g": [1, 1, 2, 2],
            "s": [1, 2, 3, 4],
        }
    )
    roles = {"y": "y", "treatment": "arm", "covariates": ("x",), "cluster": ("g",), "weights": "s", "unit_id": "g"}
    found = prepared(frame, roles)
    assert [contrast.label for contrast in found.contrasts] == ["b vs a", "c vs a"]
    data = found.contrasts[1].data
    assert data.n == 3
    np.testing.assert_array_equal(data.y, [1, 3, 4])
    np.testing.assert_array_equal(data.covariates[:, 0], [1, 3, 4])
    np.testing.assert_array_equal(data.weights, [1, 3, 4])
    assert len(data.clusters[0]) == len(data.unit) == len(data.row_key) == 3


def test_the_covariates_of_the_treatment_model_are_the_same_array_unless_mapped() -> None:
    frame = pl.DataFrame({"y": [1.0, 2.0], "w": [0, 1], "x": [1.0, 3.0], "z": [2.0, 4.0]})
    same = prepared(frame, {"y": "y", "treatment": "w", "covariates": ("x",)}).contrasts[0].data
    assert same.propensity_covariates is same.covariates
    roles = {"y": "y", "treatment": "w", "covariates": ("x",), "propensity_covariates": ("z",)}
    np.testing.assert_array_equal(prepared(frame, roles).contrasts[0].data.propensity_covariates[:, 0], [2, 4])


def test_weights_below_zero_are_refused_and_zero_leaves_the_row_out() -> None:
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "w": [0, 1, 1], "s": [1.0, 0.0, 2.0]})
    roles = {"y": "y", "treatment": "w", "weights": "s"}
    found = prepared(frame, roles)
    np.testing.assert_array_equal(found.contrasts[0].data.weights, [1, 2])
    assert "1 row has weight 0 and is excluded." in found.notes
    gap = frame.with_columns(s=pl.Series([1.0, None, 2.0]))
    np.testing.assert_array_equal(prepared(gap, roles).contrasts[0].data.weights, [1, np.nan, 2])
    with pytest.raises(UnusableData, match="positive weight in 's'"):
        prepared(frame.with_columns(s=pl.lit(0.0)), roles)
    with pytest.raises(InvalidRequest, match="negative"):
        prepared(frame.with_columns(s=-pl.col("s")), roles)


def test_an_outcome_of_two_words_becomes_0_and_1_and_one_of_three_is_refused() -> None:
    frame = pl.DataFrame({"y": ["no", "yes", "no"], "w": [0, 1, 1], "three": ["a", "b", "c"]})
    found = prepared(frame, {"y": "y", "treatment": "w"})
    np.testing.assert_array_equal(found.contrasts[0].data.y, [0, 1, 0])
    assert found.contrasts[0].data.y_kind == "binary"
    with pytest.raises(InvalidRequest, match="3 levels"):
        prepared(frame, {"y": "three", "treatment": "w"})


@pytest.mark.parametrize(
    ("values", "kind"), [([0, 1, 1], "binary"), ([0, 3, 7], "count"), ([0.5, 1, 2], "real"), ([-1, 0, 2], "real")]
)
def test_the_kind_of_an_outcome_is_read_off_its_values(values: list[float], kind: str) -> None:
    frame = pl.DataFrame({"y": values, "w": [0, 1, 1]}, strict=False)
    assert prepared(frame, {"y": "y", "treatment": "w"}).contrasts[0].data.y_kind == kind


def test_an_outcome_without_any_value_or_variation_is_refused() -> None:
    for values in ([None, None, None], [4.0, 4.0, 4.0]):
        frame = pl.DataFrame({"y": values, "w": [0, 1, 1]}, schema={"y": pl.Float64, "w": pl.Int64})
        with pytest.raises(UnusableData, match="'y'"):
            prepared(frame, {"y": "y", "treatment": "w"})


def test_missing_values_stay_missing_for_the_estimators_to_drop() -> None:
    frame = pl.DataFrame({"y": [1.0, None, 3.0], "w": [0, 1, None], "x": [None, 1.0, 2.0]})
    data = prepared(frame, {"y": "y", "treatment": "w", "covariates": ("x",)}).contrasts[0].data
    assert np.isnan(data.y[1])
    assert np.isnan(data.treatment[2])
    assert np.isnan(data.covariates[0, 0])


def test_a_reward_is_the_outcome_of_a_log_of_actions() -> None:
    frame = pl.DataFrame({"click": [0, 1, 0], "item": ["a", "b", "a"], "p": [0.2, 0.5, 0.3]})
    roles = {"action": "item", "reward": "click", "pscore": "p"}
    check_mapping(roles, frame.columns)
    data = prepared(frame, roles).contrasts[0].data
    assert data.treatment_kind == "none"
    np.testing.assert_array_equal(data.y, [0, 1, 0])


def test_gaps_in_covariates_can_be_marked_instead_of_losing_the_rows() -> None:
    frame = pl.DataFrame(
        {
            "y": [1.0, 2.0, 3.0, 5.0],
            "w": [0, 1, 0, 1],
            "a": [1.0, None, 3.0, None],
            "b": [2.0, None, 4.0, None],
            "c": [None, 1.0, 2.0, 3.0],
            "d": [4.0, 3.0, 2.0, 1.0],
        }
    )
    roles = {"y": "y", "treatment": "w", "covariates": ("a", "b", "c", "d")}
    result = prepared(frame, roles, missing="indicator")
    data = result.contrasts[0].data
    assert data.names["covariates"] == ("a", "b", "c", "d", "a missing", "c missing")
    np.testing.assert_array_equal(data.covariates[:, 0], [1, 2, 3, 2])
    np.testing.assert_array_equal(data.covariates[:, 4], [0, 1, 0, 1])
    np.testing.assert_array_equal(data.covariates[:, 5], [1, 0, 0, 0])
    assert data.propensity_covariates is data.covariates
    assert any("gaps in 3 columns" in note and "2 missingness indicators were added" in note for note in result.notes)
    one = prepared(frame, {**roles, "covariates": ("a", "d")}, missing="indicator").notes
    assert any("gaps in 1 column of" in note and "1 missingness indicator was added" in note for note in one)
    assert np.isnan(prepared(frame, roles).contrasts[0].data.covariates).any()
