from dataclasses import replace

import pytest

from cqox.diagnostics import diagnose
from cqox.estimators import Plan, Settings, catalog, run
from cqox.figures import Figure, draw
from tests.estimators.designs import panel
from tests.figures.drawn import of_design, values


def effects_of(figure: Figure) -> list[dict[str, object]]:
    return [row for row in values(figure) if row["kind"] == "effect"]


def test_the_points_are_the_averages_by_event_with_their_intervals_and_band():
    shown = of_design("staggered")
    rows = effects_of(shown.figures["event_study"])
    reported = next(each for each in shown.estimates if each.name == "did_callaway_santanna").diagnostics["dynamic"]
    assert [row["event"] for row in rows] == [each["event"] for each in reported["averages"]]
    for row, each in zip(rows, reported["averages"], strict=True):
        assert row["estimate"] == each["estimate"]
        assert row["after"] == (each["event"] >= 0)
        assert (row["lower"], row["band_upper"]) == (each["lower"], each["band_upper"])
        assert row["band_from"] <= row["from"] < row["estimate"] < row["to"] <= row["band_to"]


def test_the_axis_holds_every_point_and_what_is_cut_ends_at_its_edge():
    figure = of_design("staggered").figures["event_study"]
    low, high = figure.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    for row in effects_of(figure):
        assert low <= row["band_from"] < row["estimate"] < row["band_to"] <= high
    assert low < 0 < high


def test_the_joint_test_and_what_it_would_find_are_shown():
    lines = of_design("staggered").figures["event_study"].spec["title"]["subtitle"]
    assert any("Joint test before treatment: p = " in line for line in lines)
    assert any("with 80% power" in line for line in lines)
    assert any("change from the previous period" in line for line in lines)


def test_a_universal_base_has_its_point_without_an_interval():
    plan = Plan(panel(60, staggered=True), Settings(base_period="universal"))
    estimates = [run(entry, plan) for entry in catalog() if entry.family == "did_staggered"]
    figure = draw(plan, estimates, diagnose(plan, estimates))["event_study"]
    base = next(row for row in effects_of(figure) if row["event"] == -1)
    assert (base["estimate"], base["from"], base["band_from"]) == (0.0, None, None)
    assert "difference from the last period before" in figure.spec["title"]["subtitle"][1]


def test_many_events_have_small_points():
    spec = of_design("many periods").figures["event_study"].spec
    assert spec["layer"][4]["mark"]["size"] < of_design("block").figures["event_study"].spec["layer"][4]["mark"]["size"]


def test_intervals_of_many_events_leave_room_between_them_and_the_points_in_view():
    many, few = (of_design(name).figures["event_study"].spec for name in ("many periods", "block"))
    low, high = many["layer"][0]["encoding"]["x"]["scale"]["domain"]
    room = many["width"] / (high - low)
    for layer in (0, 1):
        assert many["layer"][layer]["mark"]["strokeWidth"] <= 0.6 * room + 0.01
        assert many["layer"][layer]["mark"]["opacity"] < 0.5
    assert few["layer"][1]["mark"]["strokeWidth"] == 3.6


@pytest.mark.parametrize("table", [None, "?", {"reason": "no"}, {"events": []}, {"events": [{"estimate": None}]}])
def test_without_effects_by_event_there_is_no_figure(table: object):
    plan = Plan(replace(panel(20)), Settings())
    assert "event_study" not in draw(plan, (), {"event_study": table})
