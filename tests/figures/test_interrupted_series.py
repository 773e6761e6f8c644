from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.figures.interrupted_series import interrupted_series
from tests.estimators.designs import series
from tests.figures.drawn import Drawn, drawn, japanese, values


@pytest.fixture(scope="module")
def monthly() -> Drawn:
    data = japanese(series(30, 18, slope=0.1))
    days = np.array([float(19_723 + 30 * month) for month in range(48)])
    labels = tuple(f"{2024 + month // 12}-{month % 12 + 1:02d}-01" for month in range(48))
    return drawn(replace(data, time_values=days, time_labels=labels))


def test_the_lines_are_those_of_the_estimate(monthly):
    estimate = next(estimate for estimate in monthly.estimates if estimate.name == "interrupted_series")
    rows = [row for row in values(monthly.figures["interrupted_series"]) if row["kind"] == "period"]
    assert [row["fitted"] for row in rows] == [row["fitted"] for row in estimate.diagnostics["periods"]]
    assert sum(row["after"] for row in rows) == 18


def test_the_words_say_the_start_and_the_effect(monthly):
    figure = monthly.figures["interrupted_series"]
    assert "売上高（円）" in figure.title
    assert "before and after 2026-07" in figure.alt
    assert "95% interval" in figure.spec["title"]["subtitle"][0]
    axis = figure.spec["layer"][0]["encoding"]["x"]["axis"]
    assert axis["title"] == "年度"
    assert "2024-01" in axis["labelExpr"]


@pytest.mark.parametrize(
    ("pairs", "carried"), [(0, "pre-intervention trend"), (2, "pre-intervention trend and seasons")]
)
def test_the_words_say_what_is_carried_on(monthly, pairs, carried):
    settings = Settings(season_length=12.0, season_pairs=pairs)
    again = drawn(replace(monthly.plan.data, time_labels=None, time_values=np.arange(48.0)), settings)
    assert all(carried in line for line in again.figures["interrupted_series"].spec["title"]["subtitle"])


def test_names_next_to_the_lines_do_not_cover_each_other(monthly):
    figure = monthly.figures["interrupted_series"]
    low, high = figure.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    first, second = (row["at"] for row in values(figure) if row["kind"] == "label")
    assert abs(first - second) >= 0.0649 * (high - low)


def test_without_an_estimate_nothing_is_drawn():
    assert interrupted_series(Plan(series(), Settings()), "", ()) is None
