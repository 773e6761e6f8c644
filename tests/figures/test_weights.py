import re
from itertools import pairwise

import pytest
from PIL import ImageFont

from cqox.figures import render_svg
from cqox.figures.weights import weights, weights_others
from tests.figures.drawn import of_design, values
from tests.figures.test_typeface import FONTS


def test_the_bars_of_an_arm_are_the_shares_of_its_rows_that_are_used():
    drawn = of_design("cross-section")
    reported = drawn.diagnostics["weights"]
    rows = values(drawn.figures["weights"]) + values(drawn.figures["weights_others"])
    assert len({row["panel"] for row in rows}) == len(reported)
    for arm, sign in (("treated", 1), ("control", -1)):
        bars = sum(row["share"] for row in rows if row["share"] * sign > 0)
        assert bars == pytest.approx(sign * sum(1 - each[arm]["unused_share"] for each in reported.values()))


def test_every_weighting_of_the_diagnostics_has_a_name_of_its_own():
    drawn = of_design("cross-section")
    panels = {row["panel"] for row in values(drawn.figures["weights_others"])}
    assert not panels & set(drawn.diagnostics["weights"])


def test_the_weighting_of_the_primary_comes_first_and_the_others_have_a_panel_each():
    drawn = of_design("cross-section")
    assert {row["panel"] for row in values(drawn.figures["weights"])} == {"Weighted to all rows (ATE)"}
    others = {row["panel"] for row in values(drawn.figures["weights_others"])}
    assert len(others) == len(drawn.diagnostics["weights"]) - 1
    assert "Weighted to all rows (ATE)" not in others


def test_the_largest_weight_is_said():
    drawn = of_design("cross-section")
    own = {"ATE": drawn.diagnostics["weights"]["ATE"]}
    others = {name: each for name, each in drawn.diagnostics["weights"].items() if name != "ATE"}
    for name, found in (("weights", own), ("weights_others", others)):
        largest = max(each[arm]["maximum"] for each in found.values() for arm in each)
        assert f"{largest:.3g} times" in drawn.figures[name].alt


def test_without_weights_there_is_no_figure():
    assert weights("t", {"weights": {"reason": "No computed estimate weights the rows."}}) is None
    assert weights("t", {}) is None
    assert weights_others("t", {}) is None


def test_weights_below_1_are_labelled_by_fractions():
    arm = {"maximum": 30.0, "unused_share": 0.0, "bins": [{"lower": 1 / 300, "upper": 30.0, "share": 1.0}]}
    figure = weights("t", {"weights": {"ipw_ate": {"treated": arm, "control": arm}}})
    shown = re.sub(r"<[^>]*>", " ", render_svg(figure.spec).decode())
    assert "1/256" in shown
    assert "0.0039" not in shown


def test_labels_of_weights_far_from_1_do_not_touch():
    arm = {"maximum": 300.0, "unused_share": 0.0, "bins": [{"lower": 1 / 300, "upper": 300.0, "share": 1.0}]}
    both = {"treated": arm, "control": arm}
    svg = render_svg(weights_others("t", {"weights": {"a": both, "b": both, "c": both}}).spec).decode()
    found = re.findall(r'translate\(([\d.]+),15\)"[^>]*opacity="1">([^<]+)<', svg)
    assert len(found) >= 4
    font = ImageFont.truetype(FONTS / "CQOxGothic-Regular.ttf", 11)
    ends = [(float(x) - font.getlength(text) / 2, float(x) + font.getlength(text) / 2) for x, text in found]
    for (_, right), (left, _) in pairwise(ends):
        assert left > right + 4 or left < right - 100
