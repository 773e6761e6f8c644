from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Settings
from tests.estimators import designs
from tests.figures.drawn import drawn, of_design, values


@pytest.fixture(scope="module")
def sharp():
    return drawn(designs.discontinuity(1500))


def of_kind(figure, kind: str):
    return [row for row in values(figure) if row["kind"] == kind]


def test_points_and_lines_are_those_of_the_diagnostics(sharp):
    figure, reported = sharp.figures["discontinuity"], sharp.diagnostics["discontinuity"]["means"]
    assert [row["mean"] for row in of_kind(figure, "mean")] == [row["mean"] for row in reported["evenly_spaced"]]
    assert [row["fit"] for row in of_kind(figure, "line")] == [
        each[key] for each in reported["lines"] for key in ("at_cutoff", "at_end")
    ]
    (shade,) = of_kind(figure, "within")
    assert (shade["to"] - shade["from"]) / 2 == pytest.approx(reported["bandwidth"])


def test_the_effect_and_its_interval_are_said(sharp):
    figure = sharp.figures["discontinuity"]
    estimate = next(each for each in sharp.estimates if each.name == "rd_local_linear")
    assert f"Jump: {estimate.estimate:.2f}" in figure.alt
    assert "robust 95% interval" in figure.spec["title"]["subtitle"][1]
    assert "Density test: p = " in figure.alt
    assert "net of covariates" in figure.alt
    assert figure.title == "Mean y around the cutoff 0.5 of score"


def test_points_are_coloured_by_side(sharp):
    for row in of_kind(sharp.figures["discontinuity"], "mean"):
        assert row["side"] == ("above" if row["score"] >= 0.5 else "below")


def test_a_ratio_of_jumps_is_called_one():
    figure = of_design("fuzzy discontinuity").figures["discontinuity"]
    assert "Effect (jump in the outcome divided by the jump in the treatment)" in figure.alt
    assert "売上高" in figure.title


def test_many_single_rows_are_shown_in_bins_of_equal_numbers():
    data = designs.discontinuity(600, covariates=False)
    far = np.where(np.arange(600) % 40 == 0, 0.5 + (data.running - 0.5) * 40, data.running)
    figure = drawn(replace(data, running=far)).figures["discontinuity"]
    reported = drawn(replace(data, running=far)).diagnostics["discontinuity"]["means"]
    single = sum(row["rows"] == 1 for row in reported["evenly_spaced"]) / len(reported["evenly_spaced"])
    expected = "equal numbers of rows" if single > 0.25 else "equal width"
    assert expected in figure.spec["title"]["subtitle"][0]


def test_the_points_stay_in_view(sharp):
    for figure in (sharp.figures["discontinuity"], of_design("fuzzy discontinuity").figures["discontinuity"]):
        layer = figure.spec["layer"][1]["encoding"]
        left, right = layer["x"]["scale"]["domain"]
        low, high = layer["y"]["scale"]["domain"]
        for row in of_kind(figure, "mean"):
            assert left < row["score"] < right
            assert low <= row["mean"] <= high


def test_the_test_of_the_design_is_no_row_of_the_forest(sharp):
    names = {row.get("name") for row in values(sharp.figures["forest"])}
    assert "rd_local_linear" in names
    assert "rd_density_test" not in names
    assert "per unit" not in str(sharp.figures["forest"].spec)


def test_a_design_without_a_cutoff_has_no_such_figure():
    assert "discontinuity" not in of_design("cross-section").figures


def test_curves_are_drawn_by_their_points_and_named_by_their_order() -> None:
    design = designs.discontinuity(1500)
    local = drawn(design, settings=Settings(rd_order=2)).figures["discontinuity"]
    assert len(of_kind(local, "line")) > 40
    assert "fits of order 2 within" in str(local.spec["title"]["subtitle"])
    every = drawn(design, settings=Settings(rd_order=2, rd_bandwidth="all")).figures["discontinuity"]
    assert "fits of order 2 to all rows" in str(every.spec["title"]["subtitle"])
