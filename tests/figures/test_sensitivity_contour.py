import math

import pytest

from cqox.estimators.sensitivity import adjusted_estimate
from cqox.figures.sensitivity_contour import sensitivity_contour
from tests.figures.drawn import of_design, values


def test_every_point_of_a_line_is_a_confounder_that_leaves_what_the_line_says():
    drawn = of_design("cross-section")
    told = drawn.diagnostics["robustness"]
    lines = [row for row in values(drawn.figures["sensitivity_contour"]) if row["kind"] == "line"]
    assert {row["away"] for row in lines} == {True, False}
    for row in lines:
        left, _ = adjusted_estimate(
            told["estimate"], told["standard_error"], told["degrees_of_freedom"],
            r2_treatment=row["x"], r2_outcome=row["y"],
        )  # fmt: skip
        assert left == pytest.approx(row["level"], abs=1e-9 * abs(told["estimate"]))


def test_the_robustness_value_is_on_the_line_of_no_effect():
    drawn = of_design("cross-section")
    rows = values(drawn.figures["sensitivity_contour"])
    ring = next(row for row in rows if row["kind"] == "robust")
    assert ring["x"] == ring["y"] == drawn.diagnostics["robustness"]["robustness_value"]
    nearest = min(math.dist((row["x"], row["y"]), (ring["x"], ring["y"])) for row in rows if row.get("away"))
    assert nearest < 0.05


def test_covariates_are_marked_where_their_shares_are_and_the_strongest_several_times():
    drawn = of_design("cross-section")
    told = drawn.diagnostics["robustness"]["benchmarks"]
    marks = [row for row in values(drawn.figures["sensitivity_contour"]) if row["kind"] == "mark"]
    end = drawn.figures["sensitivity_contour"].spec["layer"][0]["encoding"]["x"]["scale"]["domain"][1]
    known = {(min(row["r2_treatment"], end), min(row["r2_outcome"], end)) for row in told}
    assert {(row["x"], row["y"]) for row in marks} <= known
    assert {row["label"] for row in marks} >= {row["covariate"] for row in told}
    assert {"2x", "3x"} <= {row["label"] for row in marks}


def test_without_an_adjusted_regression_there_is_no_figure():
    plan = of_design("cross-section").plan
    assert sensitivity_contour(plan, "t", {"robustness": {"robustness_value": None, "reason": "no"}}) is None
    assert sensitivity_contour(plan, "t", {}) is None
