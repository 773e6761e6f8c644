from cqox.figures import render_svg
from tests.estimators import designs
from tests.figures.drawn import drawn, japanese, values

DRAWN = drawn(japanese(designs.dosed(600)))
FIGURE = DRAWN.figures["dose_curve"]


def test_the_curve_and_its_band_are_those_of_the_estimate():
    found = next(estimate for estimate in DRAWN.estimates if estimate.name == "dose_curve")
    rows = [row for row in values(FIGURE) if row["kind"] == "dose"]
    assert [row["estimate"] for row in rows] == [row["estimate"] for row in found.diagnostics["curve"]]
    assert all(row["band_lower"] < row["lower"] < row["estimate"] < row["upper"] < row["band_upper"] for row in rows)


def test_the_quartiles_between_which_the_slope_is_estimated_are_marked():
    found = next(estimate for estimate in DRAWN.estimates if estimate.name == "dose_curve")
    marked = [row["dose"] for row in values(FIGURE) if row["kind"] == "quartile"]
    assert marked == [found.diagnostics["from_dose"], found.diagnostics["to_dose"]]


def test_its_words_name_outcome_and_dose_and_it_renders():
    assert "売上高" in FIGURE.title
    assert "広告配信" in FIGURE.title
    assert "95%" in FIGURE.alt
    assert b"<svg" in render_svg(FIGURE.spec)


def test_without_a_curve_there_is_no_figure():
    assert "dose_curve" not in drawn(designs.cross_section(300)).figures
