import math

import pytest

from cqox.estimators.sensitivity.unmeasured_confounding import adjusted_estimate
from cqox.figures.sensitivity_contour import sensitivity_contour
from tests.figures.drawn import of_design, values


def test_every_point_of_a_line_is_a_confounder_that_leaves_what_the_line_says():
    drawn = of_design("cross-section")
    reported = drawn.diagnostics["robustness"]
    lines = [row for row in values(drawn.figures["sensitivity_contour"]) if row["kind"] == "line"]
    assert {row["away"] for row in lines} == {True, False}
    for row in lines:
        left, _ = adjusted_estimate(
            reported["estimate"], reported["standard_error"], reported["degrees_of_freedom"],
            r2_treatment=row["x"], r2_outcome=row["y"],
        )  # fmt: skip
        assert left == pytest.approx(row["level"], abs=1e-9 * abs(reported["estimate"]))


def test_the_robustness_value_is_on_the_line_of_no_effect():
    drawn = of_design("cross-section")
    rows = values(drawn.figures["sensitivity_contour"])
    ring = next(row for row in rows if row["kind"] == "robust")
    assert ring["x"] == ring["y"] == drawn.diagnostics["robustness"]["robustness_value"]
    nearest = min(math.dist((row["x"], row["y"]), (ring["x"], ring["y"])) for row in rows if row.get("away"))
    assert nearest < 0.05


def test_covariates_are_marked_where_their_shares_are_and_the_strongest_several_times():
    drawn = of_design("cross-section")
    reported = drawn.diagnostics["robustness"]["benchmarks"]
    marks = [row for row in values(drawn.figures["sensitivity_contour"]) if row["kind"] == "mark"]
    known = {(min(row["r2_treatment"], 1.0), min(row["r2_outcome"], 1.0)) for row in reported}
    assert {(row["x"], row["y"]) for row in marks} <= known
    assert {row["label"] for row in marks} >= {row["covariate"] for row in reported}
    assert {"2x", "3x"} <= {row["label"] for row in marks}


def texts_of(*benchmarks, estimate=1.0, primary=None):
    found = {
        "estimate": estimate, "standard_error": 0.05, "degrees_of_freedom": 400, "robustness_value": 0.59,
        "benchmarks": [
            {"covariate": name, "times_as_strong": times, "r2_treatment": x, "r2_outcome": y}
            for name, times, x, y in benchmarks
        ],
    }  # fmt: skip
    figure = sensitivity_contour(of_design("cross-section").plan, "t", {"robustness": found}, primary)
    return figure, figure.spec["title"]["subtitle"]


def test_of_names_that_would_lie_over_each_other_the_strongest_is_written():
    near = [("年齢", 1, 0.001, 0.002), ("年齢", 2, 0.002, 0.004), ("年齢", 3, 0.003, 0.006), ("sex", 1, 0.0, 0.001)]
    figure, _ = texts_of(*near, ("far", 1, 0.3, 0.3))
    marks = [row for row in values(figure) if row["kind"] == "mark"]
    assert [row["name"] for row in marks] == ["年齢", "", "", "", "far"]
    low, high = figure.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    for row in marks:
        # No name lies over the axis.
        assert not row["name"] or figure.spec["height"] * (row["y"] - low) / (high - low) + row["rise"] > 6
    assert [row["label"] for row in marks] == ["年齢", "2x", "3x", "sex", "far"]


def test_a_line_of_which_hardly_any_is_in_view_is_neither_drawn_nor_labelled():
    figure, _ = texts_of()
    end = figure.spec["layer"][0]["encoding"]["x"]["scale"]["domain"][1]
    lines = {}
    for row in values(figure):
        if row["kind"] == "line":
            lines.setdefault(row["level"], []).append(row["x"])
    assert set(lines) == {0.75, 0.5, 0.25, 0.0}
    assert all(max(xs) - min(xs) > 0.1 * end for xs in lines.values())
    assert {row["level"] for row in values(figure) if row["kind"] == "label"} == {0.75, 0.5, 0.25}


def test_the_key_names_diamonds_only_where_there_are_some():
    assert texts_of()[1][-1] == "Lines: the estimate after adjustment for such a confounder."
    assert texts_of(("x", 1, 0.1, 0.1))[1][-1].endswith("Diamonds: covariates.")
    assert texts_of(("x", 1, 0.1, 0.1), ("x", 2, 0.2, 0.2))[1][-1].endswith("and 2x, 3x the strongest.")


def test_the_estimate_that_it_is_about_is_named_and_set_apart_from_the_primary():
    for primary in (None, "ols_adjustment"):
        said = texts_of(primary=primary)[1]
        assert said[0].startswith("Regression adjustment (OLS): 1.00; ")
        assert not any("The decision" in line for line in said)
    assert "The decision uses another estimate: Augmented weighting (AIPW)." in texts_of(primary="aipw")[1]
    drawn = of_design("cross-section")
    assert drawn.primary != "ols_adjustment"
    assert "The decision uses" in drawn.figures["sensitivity_contour"].spec["title"]["subtitle"][1]


@pytest.mark.parametrize("strong", [0.4, 0.98, 1.0, 1.7])
def test_no_diamond_lies_over_an_axis_or_outside_the_view(strong):
    figure, _ = texts_of(("strong", 1, 0.0, 0.3), ("strong", 3, 0.2, strong), ("weak", 1, 0.1, 0.0))
    layer = figure.spec["layer"][0]["encoding"]
    for axis, size in (("x", figure.spec["width"]), ("y", figure.spec["height"])):
        low, high = layer[axis]["scale"]["domain"]
        for row in values(figure):
            if row["kind"] == "mark":
                place = size * (row[axis] - low) / (high - low)
                # Half the diagonal of a diamond of 70 square pixels.
                assert 8 < place < size - 8
            if row["kind"] == "line":
                assert 0 <= row[axis] <= 1
    assert max(row["y"] for row in values(figure) if row["kind"] == "mark") == pytest.approx(min(strong, 1.0))


def test_without_an_adjusted_regression_there_is_no_figure():
    plan = of_design("cross-section").plan
    assert sensitivity_contour(plan, "t", {"robustness": {"robustness_value": None, "reason": "no"}}) is None
    assert sensitivity_contour(plan, "t", {}) is None


def test_a_name_stands_where_it_covers_no_other_diamond():
    figure, _ = texts_of(("a long name", 1, 0.1, 0.0), ("a long name", 2, 0.12, 0.0), ("far", 1, 0.3, 0.3))
    marks = [row for row in values(figure) if row["kind"] == "mark"]
    assert [(row["name"], row["rise"]) for row in marks] == [("a long name", 14.0), ("", 0.0), ("far", 6.0)]


def test_covariates_too_strong_for_a_diamond_are_named():
    plan = of_design("cross-section").plan
    found = {**of_design("cross-section").diagnostics["robustness"], "beyond_benchmarks": ["age", "a" * 40, "c", "d"]}
    last = sensitivity_contour(plan, "t", {"robustness": found}).spec["title"]["subtitle"][-1]
    assert last.startswith("Without a diamond: 4 covariates so strong")
    assert "(age, aaaa" in last
    assert "…" in last
    assert "determine the treatment" not in texts_of()[1][-1]


def test_a_name_over_the_label_of_a_line_moves_aside():
    figure, _ = texts_of(("x", 1, 0.1, 0.1))
    label = next(row for row in values(figure) if row["kind"] == "label")
    near = (label["x"] - 0.02, label["y"])
    figure, _ = texts_of(("region", 1, *near), ("far", 1, 0.05, 0.5))
    marks = [row for row in values(figure) if row["kind"] == "mark"]
    assert [(row["name"], row["rise"]) for row in marks] == [("region", 14.0), ("far", 6.0)]
