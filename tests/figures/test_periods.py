import json
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from PIL import ImageFont

from cqox.assets import asset_folder
from cqox.estimators import Plan, Settings
from cqox.figures._periods import before_and_after_axis, period_labels, ticks
from tests.estimators.designs import cross_section, panel

FONT = asset_folder("fonts") / "CQOxGothic-Regular.ttf"


def labels(*names: str) -> list[str]:
    data = replace(panel(10, len(names)), time_labels=names, time_values=np.arange(float(len(names))))
    found = period_labels(Plan(data, Settings()))
    assert list(found) == list(range(len(names)))
    return list(found.values())


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("2020-01-01", "2021-01-01"), ["2020", "2021"]),
        (("2020-01-01", "2020-02-01"), ["2020-01", "2020-02"]),
        (("2020-01-01", "2020-01-02"), ["2020-01-01", "2020-01-02"]),
        (("2020-01-01", "2021-01-01 12:00"), ["2020-01-01", "2021-01-01 12:00"]),
        (("week-01", "year-01"), ["week-01", "year-01"]),
        (("春", "夏"), ["春", "夏"]),
    ],
)
def test_dates_leave_out_what_is_the_first_in_all_of_them(names: tuple[str, ...], shown: list[str]) -> None:
    assert labels(*names) == shown


def test_periods_that_are_numbers_have_no_labels() -> None:
    assert period_labels(Plan(panel(10), Settings())) == {}
    assert period_labels(Plan(cross_section(20), Settings())) == {}


@pytest.mark.parametrize(("periods", "shown"), [(1, 1), (8, 8), (9, 5), (16, 8), (17, 6), (100, 8)])
def test_labelled_periods_have_at_most_eight_ticks_at_equal_steps(periods: int, shown: int) -> None:
    times = [float(time) for time in range(periods)]
    axis = ticks(times, {time: f"p{time:g}" for time in times})
    values = axis["values"]
    assert isinstance(values, list)
    assert len(values) == shown
    assert len(set(np.diff(values))) <= 1
    words, _, place = str(axis["labelExpr"]).partition("[indexof(")
    assert json.loads(words) == [f"p{value:g}" for value in values]
    assert json.loads(place.partition(", datum.value")[0]) == values


@pytest.mark.parametrize("label", ["2024-04-{:02d}", "2024年第{:02d}週", "{:02d}", "2024-04-01 12:{:02d}"])
@pytest.mark.parametrize("periods", [13, 16, 26, 30])
def test_labels_of_ticks_stand_apart(label: str, periods: int) -> None:
    times = [float(time) for time in range(periods)]
    axis = ticks(times, {time: label.format(int(time)) for time in times})
    words = json.loads(str(axis["labelExpr"]).partition("[indexof(")[0])
    # The axis has a margin of 3% of the times on each side, as in `event_means`.
    pixels = 520 / (1.06 * (periods - 1))
    places = [time * pixels for time in cast("list[float]", axis["values"])]
    halves = [ImageFont.truetype(FONT, 11).getlength(word) / 2 for word in words]
    gaps = [
        right - left - before - after
        for left, right, before, after in zip(places[:-1], places[1:], halves[:-1], halves[1:], strict=True)
    ]
    assert min(gaps) > 8
    assert 2 <= len(words) <= 8


def test_a_long_label_is_cut() -> None:
    (word,) = json.loads(str(ticks([0.0], {0.0: "x" * 100})["labelExpr"]).partition("[indexof")[0])
    assert len(word) <= 17


def test_whole_numbers_have_whole_ticks_and_others_any() -> None:
    assert ticks([2000.0, 2001.0], {})["format"] == "d"
    assert "format" not in ticks([0.5, 1.0], {})
    assert "values" not in ticks([], {})


def test_before_and_after_have_a_tick_each() -> None:
    axis = before_and_after_axis()
    assert axis["values"] == [0.0, 1.0]
    assert axis["labelExpr"].code == "figures.before-and-after-axis"
