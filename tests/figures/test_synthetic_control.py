import pytest

from cqox.estimators import Plan, Settings
from cqox.figures.synthetic_control import synthetic_control
from tests.estimators.designs import factor_panel, panel
from tests.figures.drawn import Drawn, drawn, japanese, values


@pytest.fixture(scope="module")
def one() -> Drawn:
    return drawn(japanese(factor_panel(treated=1)), primary="synthetic_control")


def of_kind(found: Drawn, kind: str) -> list[dict[str, object]]:
    return [row for row in values(found.figures["synthetic_control"]) if row["kind"] == kind]


def test_the_paths_are_those_of_the_estimate(one):
    estimate = next(estimate for estimate in one.estimates if estimate.name == "synthetic_control")
    rows = of_kind(one, "period")
    assert [
        {key: row[key] for key in ("time", "observed", "synthetic", "gap")} for row in rows
    ] == estimate.diagnostics["periods"]
    assert of_kind(one, "start") == [{"kind": "start", "time": 2010.0}]


def test_placebos_that_fit_stand_behind_the_gap_and_others_do_not(one):
    estimate = next(estimate for estimate in one.estimates if estimate.name == "synthetic_control")
    fits = [
        placebo
        for placebo in estimate.diagnostics["placebo_in_space"]["gaps"]
        if placebo["pre_rmspe"] <= 5 * estimate.diagnostics["pre_rmspe"]
    ]
    rows = of_kind(one, "placebo")
    assert len({row["placebo"] for row in rows}) == len(fits) > 0
    assert len(rows) == 30 * len(fits)


def test_the_names_of_the_paths_do_not_cover_each_other(one):
    figure = one.figures["synthetic_control"]
    low, high = figure.spec["vconcat"][0]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    first, second = (row["at"] for row in of_kind(one, "label"))
    assert abs(first - second) >= 0.0799 * (high - low)


def test_the_words_say_the_gap_and_the_start(one):
    figure = one.figures["synthetic_control"]
    assert "売上高（円）" in figure.title
    assert "starts at 2010" in figure.alt
    assert "placebo p-value" in figure.alt
    assert figure.spec["vconcat"][1]["layer"][0]["encoding"]["x"]["axis"]["title"] == "年度"


def test_without_a_synthetic_control_nothing_is_drawn():
    plan = Plan(panel(staggered=True), Settings())
    assert synthetic_control(plan, "t", ()) is None
    assert "synthetic_control" not in drawn(panel(staggered=True)).figures


@pytest.mark.parametrize("treated", [1, 3])
def test_the_figure_is_that_of_the_primary_estimate(treated):
    found = drawn(factor_panel(treated=treated), primary="synthetic_did")
    estimate = next(estimate for estimate in found.estimates if estimate.name == "synthetic_did")
    figure = found.figures["synthetic_control"]
    assert figure.title.startswith("Synthetic difference in differences of")
    gaps = [row["gap"] for row in of_kind(found, "period") if row["time"] >= 2010]
    assert sum(gaps) / len(gaps) == pytest.approx(estimate.estimate)
    assert of_kind(found, "placebo")
    assert f"placebo p-value {estimate.diagnostics['p_value_placebo']:.3f}" in figure.alt


def test_an_augmented_control_has_no_placebos():
    found = drawn(factor_panel(treated=1), primary="synthetic_control_augmented")
    figure = found.figures["synthetic_control"]
    assert figure.title.startswith("Ridge-augmented synthetic control of")
    assert of_kind(found, "placebo") == []
    assert "in grey" not in figure.alt
