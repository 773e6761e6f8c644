"""Columns in the roles of special designs."""

import numpy as np
import polars as pl
import pytest

from cqox.analysis.designs import source_level
from cqox.analysis.mapping import check_mapping
from cqox.analysis.prepare import prepare
from cqox.contract import AnalyzeRequest, Options
from cqox.errors import InvalidRequest, UnusableData
from cqox.estimators import Data


def prepared(frame: pl.DataFrame, mapping: dict[str, object]) -> tuple[Data, tuple[str, ...]]:
    request = AnalyzeRequest.model_validate({"dataset_id": "d", "mapping": mapping})
    roles, _ = request.roles()
    check_mapping(roles, frame.columns)
    found = prepare(frame, {}, roles, Options())
    return found.contrasts[0].data, found.notes


PEOPLE = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "y": [1.0, 2.0, 4.0, 3.0],
        "w": [0, 1, 0, 1],
        "friends": ["b c", "a, zz", None, "d;a"],
        "lat": [35.0, 36.0, 37.0, 38.0],
        "lon": [139.0, 140.0, 141.0, 142.0],
        "where": ["study", "target", "study", "target"],
    }
)


def test_neighbours_are_found_by_their_ids_and_those_without_a_row_are_counted():
    data, notes = prepared(PEOPLE, {"y": "y", "treatment": "w", "unit_id": "id", "edges": "friends"})
    assert data.edges.tolist() == [[0, 1], [0, 2], [1, 0], [3, 0]]
    assert any("1 neighbour in" in note for note in notes)


def test_neighbours_follow_their_rows():
    data, _ = prepared(PEOPLE, {"y": "y", "treatment": "w", "unit_id": "id", "edges": "friends"})
    assert data.rows(np.array([3, 0, 1])).edges.tolist() == [[1, 2], [2, 1], [0, 1]]


def test_neighbours_need_ids_that_do_not_repeat():
    with pytest.raises(InvalidRequest, match="unit_id"):
        prepared(PEOPLE, {"y": "y", "treatment": "w", "edges": "friends"})
    with pytest.raises(UnusableData, match="repeated values"):
        prepared(pl.concat([PEOPLE, PEOPLE]), {"y": "y", "treatment": "w", "unit_id": "id", "edges": "friends"})


def test_a_latitude_needs_a_longitude():
    data, _ = prepared(PEOPLE, {"y": "y", "treatment": "w", "latitude": "lat", "longitude": "lon"})
    assert data.location.tolist()[0] == [35.0, 139.0]
    with pytest.raises(InvalidRequest, match="longitude"):
        prepared(PEOPLE, {"y": "y", "treatment": "w", "latitude": "lat"})
    with pytest.raises(InvalidRequest, match="is degrees"):
        prepared(PEOPLE, {"y": "y", "treatment": "w", "latitude": "lon", "longitude": "lon"})


@pytest.mark.parametrize(
    ("half", "other"),
    [
        ({"running": "lat"}, "cutoff"),
        ({"cutoff": 36.5}, "running"),
        ({"longitude": "lon"}, "latitude"),
        ({"intervention_time": 37}, "time"),
    ],
)
def test_half_of_a_design_is_refused_with_what_it_lacks(half: dict[str, object], other: str):
    with pytest.raises(InvalidRequest, match=f"requires '{other}'") as caught:
        prepared(PEOPLE, {"y": "y", "treatment": "w", **half})
    assert caught.value.field == f"mapping.{other}"


def test_a_negative_control_or_a_control_series_needs_no_second_proxy():
    for role in ("proxy_treatment", "proxy_outcome"):
        data, _ = prepared(PEOPLE, {"y": "y", "treatment": "w", role: "lat"})
        assert getattr(data, role)[:, 0].tolist() == PEOPLE["lat"].to_list()


def test_the_source_population_is_known_by_its_name():
    data, notes = prepared(PEOPLE, {"y": "y", "treatment": "w", "sample": "where"})
    assert data.in_source.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert any("'study' is the source" in note for note in notes)


@pytest.mark.parametrize(
    ("levels", "source"),
    [
        (["trial", "others"], "trial"),
        (["clinic", "Target"], "clinic"),
        (["試験", "対象"], "試験"),
        (["a", "b"], None),
        (["target", "population"], None),
        (["trial", "study"], None),
        (["trial", "target", "c"], None),
        ([0, 1], None),
    ],
)
def test_the_level_of_the_source_is_the_one_that_words_name(levels: list[object], source: str | None):
    assert source_level(pl.Series("where", [*levels, None, *levels])) == source


def test_a_score_and_a_cutoff_need_no_outcome():
    data, notes = prepared(PEOPLE, {"running": "lat", "cutoff": 36.5})
    assert data.y_kind == "none"
    assert np.isnan(data.y).all()
    assert data.cutoff == 36.5
    assert any("No outcome is mapped" in note for note in notes)


def test_a_time_and_a_start_are_a_design():
    data, _ = prepared(PEOPLE, {"y": "y", "time": "lat", "intervention_time": 37})
    assert data.post.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert (data.intervention_time, data.treatment_kind) == (37.0, "none")


def test_a_policy_is_a_probability():
    frame = pl.DataFrame({"a": ["x", "y", "x"], "r": [0, 1, 1], "p": [0.5, 0.2, 1.5]})
    with pytest.raises(InvalidRequest, match=r"'p' has 1 value outside \[0, 1\]"):
        prepared(frame, {"action": "a", "reward": "r", "target_policy": ["p"]})
    data, _ = prepared(frame.with_columns(p=pl.lit(0.5)), {"action": "a", "reward": "r", "target_policy": ["p"]})
    assert data.action.tolist() == [0, 1, 0]
    assert data.action_labels == ("x", "y")
    assert data.y.tolist() == [0.0, 1.0, 1.0]


def test_an_intervention_may_be_a_date_of_the_time_column():
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0, 5.0], "day": ["2024-06-29", "2024-06-30", "2024-07-01", "2024-07-02"]})
    frame = frame.with_columns(pl.col("day").str.to_date())
    data, _ = prepared(frame, {"y": "y", "time": "day", "intervention_time": "2024-07-01"})
    assert data.post.tolist() == [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(InvalidRequest, match="a date such as"):
        prepared(frame, {"y": "y", "time": "day", "intervention_time": "July"})


@pytest.mark.parametrize(
    "text", ["2024-07-01", "2024/7/1", "2024.7.1", "2024-07", "2024年7月", "2024年7月1日", "2024-07-01T09:00+09:00"]
)
def test_an_intervention_is_read_as_a_column_of_dates_is(text: str):
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "day": ["2024-06-30", "2024-07-01", "2024-07-02"]})
    frame = frame.with_columns(pl.col("day").str.to_date())
    data, notes = prepared(frame, {"y": "y", "time": "day", "intervention_time": text})
    assert data.post.tolist() == [0.0, 1.0, 1.0]
    assert data.intervention_time == 19905.0
    assert "The role post is defined as day >= 2024-07-01." in notes


@pytest.mark.parametrize("role", ["intervention_time", "cutoff"])
def test_a_date_is_not_compared_with_a_number(role: str):
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "day": ["2024-06-30", "2024-07-01", "2024-07-02"], "n": [1, 2, 3]})
    frame = frame.with_columns(pl.col("day").str.to_date())
    column = "time" if role == "intervention_time" else "running"
    with pytest.raises(InvalidRequest, match=f"'day' contains dates, but '{role}' is a number"):
        prepared(frame, {"y": "y", column: "day", role: 19905})
    with pytest.raises(InvalidRequest, match=f"'n' contains numbers, but '{role}' is a date"):
        prepared(frame, {"y": "y", column: "n", role: "2024-07-01"})


def test_a_cutoff_may_be_a_date_of_its_score():
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "day": ["2024-06-30", "2024-07-01", "2024-07-02"]})
    frame = frame.with_columns(pl.col("day").str.to_date())
    data, _ = prepared(frame, {"y": "y", "running": "day", "cutoff": "2024-07-01 12:00"})
    assert data.cutoff == 19905.5
