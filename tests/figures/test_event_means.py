from dataclasses import replace

import numpy as np
import pytest

from tests.estimators import designs
from tests.figures.drawn import drawn, of_design, values


def axis_of(figure):
    return figure.spec["layer"][0]["encoding"]["x"]["axis"]


def means_of(figure):
    return [row for row in values(figure) if row["kind"] == "mean"]


@pytest.fixture(scope="module")
def dated():
    data = designs.panel(periods=6)
    labels = tuple(f"2024-{month:02d}-01" for month in range(1, 7))
    return drawn(replace(data, time_values=np.array([19723.0, 19754, 19783, 19814, 19844, 19875]), time_labels=labels))


def test_the_points_are_the_means_of_the_groups():
    drawn_ = of_design("block")
    data = drawn_.plan.data
    treated = np.isin(data.unit, np.unique(data.unit[data.treatment > 0]))
    for row in means_of(drawn_.figures["event_means"]):
        own = treated if row["group"] != "never treated" else ~treated
        rows = own & (data.time_values[data.time] == row["time"])
        assert row["mean"] == pytest.approx(data.y[rows].mean())
        assert row["rows"] == rows.sum()


def test_points_are_filled_from_the_first_treated_period_on():
    for row in means_of(of_design("block").figures["event_means"]):
        assert row["treated"] == (row["group"] != "never treated" and row["time"] >= 2003)


def test_names_next_to_the_lines_do_not_cover_each_other():
    figure = of_design("staggered").figures["event_means"]
    low, high = figure.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    places = sorted(row["at"] for row in values(figure) if row["kind"] == "label")
    assert len(places) > 4
    assert np.diff(places).min() >= 0.0649 * (high - low)
    assert low <= places[0]
    assert places[-1] <= high + 1e-9


def test_many_starts_have_no_rules_and_no_bands_and_each_group_its_colour():
    figure = of_design("staggered").figures["event_means"]
    assert not [row for row in values(figure) if row["kind"] == "start"]
    assert not any(row["band"] for row in means_of(figure))
    colour = figure.spec["layer"][0]["encoding"]["color"]["scale"]
    assert len(colour["domain"]) == len(colour["range"]) == len({row["group"] for row in means_of(figure)})
    starts = [shade for name, shade in zip(colour["domain"], colour["range"], strict=True) if "from" in name]
    assert len(set(starts)) == len(starts)


def test_periods_that_are_dates_are_named_by_their_dates(dated):
    axis = axis_of(dated.figures["event_means"])
    assert axis["values"] == [19723.0, 19754, 19783, 19814, 19844, 19875]
    assert '"2024-01"' in axis["labelExpr"]
    assert "19723" not in axis["labelExpr"].split("]")[0]


def test_periods_that_are_words_keep_them_and_cannot_leave_their_quotes():
    data = designs.panel(periods=4)
    words = ('春"', "夏'; datum", "秋\\", "冬")
    figure = drawn(replace(data, time_values=np.arange(4.0), time_labels=words)).figures["event_means"]
    assert axis_of(figure)["labelExpr"].startswith('["春\\"", "夏\'; datum", "秋\\\\", "冬"][indexof(')


def test_whole_periods_have_whole_ticks():
    assert axis_of(of_design("block").figures["event_means"])["format"] == "d"


def test_before_and_after_are_said_in_words():
    figure = of_design("two periods").figures["event_means"]
    assert axis_of(figure)["values"] == [0.0, 1.0]
    assert "before" in axis_of(figure)["labelExpr"]
    assert [row["time"] for row in values(figure) if row["kind"] == "start"] == [0.5]


def test_more_periods_than_can_be_distinguished_are_pooled_and_it_is_said():
    figure = of_design("many periods").figures["event_means"]
    assert len({row["time"] for row in means_of(figure)}) <= 120
    assert "Each point pools 3 periods." in figure.spec["title"]["subtitle"]
