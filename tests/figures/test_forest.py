import itertools
from dataclasses import replace

import pytest

from cqox.estimators import Plan, Settings
from cqox.figures.forest import forest
from tests.estimators import designs
from tests.figures.drawn import of_design, one, values


def rows_of(*estimates, primary=None):
    figure = forest(Plan(designs.cross_section(50), Settings()), "t", estimates, primary)
    return values(figure)


def figure_of(*estimates, primary=None):
    return forest(Plan(designs.cross_section(50), Settings()), "t", estimates, primary)


def domain_of(figure):
    return figure.spec["layer"][0]["encoding"]["x"]["scale"]["domain"]


def test_estimates_stand_below_a_heading_for_what_they_estimate_largest_first():
    rows = rows_of(one("a", 1.0), one("b", 3.0, estimand="ATT"), one("c", 2.0))
    assert [row.get("name") for row in rows] == [None, "c", "a", None, "b"]
    assert [row["label"][:3] for row in rows if row["kind"] == "heading"] == ["ATE", "ATT"]
    assert [row["row"] for row in rows] == list(range(5))


def test_what_has_no_number_is_not_shown():
    rows = rows_of(one("a", 1.0), one("b", None, None, status="skipped"), one("c", None, None, status="failed"))
    assert [row["name"] for row in rows if row["kind"] == "estimate"] == ["a"]
    assert figure_of(one("b", None, None, status="failed")) is None


def test_numbers_are_the_estimates_own():
    known = {row["name"]: row for row in values(of_design("cross-section").figures["forest"]) if "name" in row}
    for estimate in of_design("cross-section").estimates:
        if estimate.estimate is None:
            assert estimate.name not in known
        else:
            row = known[estimate.name]
            assert (row["estimate"], row["lower"], row["upper"], row["n"]) == (
                estimate.estimate, estimate.ci_lower, estimate.ci_upper, estimate.n,
            )  # fmt: skip


def test_the_primary_estimate_is_marked_once_and_named_first_in_words():
    figure = figure_of(one("aipw", 1.0), one("ols_adjustment", 2.0), primary="ols_adjustment")
    assert [row["name"] for row in values(figure) if row.get("role") == "primary"] == ["ols_adjustment"]
    assert "primary" in figure.alt.split(";")[0]
    assert "Orange" in figure.spec["title"]["subtitle"][1]


def test_a_key_is_there_only_for_what_is_shown():
    assert len(figure_of(one("a", 1.0)).spec["title"]["subtitle"]) == 1
    assert "Hollow" in figure_of(one("a", 1.0, status="warning")).spec["title"]["subtitle"][1]


def test_zero_and_every_estimate_are_in_view():
    for values_ in itertools.product((-5.0, 0.0, 7.0), (1e-6, 1e6)):
        figure = figure_of(*(one(f"e{k}", value) for k, value in enumerate(values_)))
        low, high = domain_of(figure)
        assert low < min(0.0, *values_)
        assert high > max(0.0, *values_)


def test_an_interval_out_of_proportion_is_cut_with_an_arrow_and_the_others_stay_readable():
    figure = figure_of(*(one(f"e{k}", 1.0 + k / 10, 0.5) for k in range(4)), one("wide", 1.0, 400.0))
    low, high = domain_of(figure)
    assert high - low < 20
    (wide,) = (row for row in values(figure) if row.get("name") == "wide")
    assert (wide["cut_low"], wide["cut_high"]) == (low, high)
    assert (wide["from"], wide["to"]) == (low, high)
    assert wide["interval"] == "[−399.00, 401.00]"
    assert "Arrows" in figure.spec["title"]["subtitle"][1]
    (usual,) = (row for row in values(figure) if row.get("name") == "e0")
    assert usual["cut_low"] is None
    assert usual["cut_high"] is None


def test_an_end_that_does_not_exist_is_infinite_in_words_and_an_arrow_in_the_plot():
    (row,) = (row for row in rows_of(one("a", 2.0, ci_upper=None)) if row["kind"] == "estimate")
    assert row["interval"].endswith("∞]")
    assert row["cut_high"] is not None
    assert row["cut_low"] is None


def test_an_estimate_without_interval_is_a_point():
    (row,) = (row for row in rows_of(one("a", 2.0, None)) if row["kind"] == "estimate")
    assert row["interval"] == "no interval"
    assert "from" not in row


def test_numbers_of_one_figure_have_the_same_decimals():
    rows = rows_of(one("a", 1234.5678, 300.0), one("b", 94.02, 2000.0))
    assert [row["value"] for row in rows if row["kind"] == "estimate"] == ["1,235", "94"]
    small = rows_of(one("a", 0.0123456, 0.004))
    assert small[1]["value"] == "0.0123"


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9, 1e15])
def test_any_unit_of_the_outcome_gives_a_figure(scale):
    figure = figure_of(one("a", scale, scale / 2), one("b", -scale, scale / 3))
    low, high = domain_of(figure)
    assert low < -scale
    assert high > scale


def test_the_axis_names_the_unit_of_an_amount_of_treatment():
    axis = of_design("amount").figures["forest"].spec["layer"][0]["encoding"]["x"]["axis"]["title"]
    assert axis == "Effect in units of 売上高（円） per unit of 広告配信"


def test_the_value_of_a_policy_is_shown_as_a_mean_next_to_that_of_the_log():
    policy = replace(one("ope_dr", 2.5, estimand="policy value"), diagnostics={"logged_value": 2.25})
    data = replace(designs.logged(60), names={"reward": ("clicks",)})
    figure = forest(Plan(data, Settings()), "treatment", [policy], "ope_dr")
    assert figure.title == "Value of the target policy in clicks"
    assert figure.spec["layer"][0]["encoding"]["x"]["axis"]["title"] == "Mean of clicks per decision"
    assert "Value of the logged policy: 2.25 (dashed)." in figure.spec["title"]["subtitle"]


def test_the_dashed_line_is_no_effect_or_what_the_logged_policy_had_and_leaves_headings_out():
    policy = replace(one("ope_dr", 2.5, estimand="policy value"), diagnostics={"logged_value": 2.25})
    rows = rows_of(one("a", 1.0), policy, one("ope_dm", 2.5, estimand="policy value"))
    at = {row["name"]: row["reference"] for row in rows if row["kind"] == "estimate"}
    assert at == {"a": 0.0, "ope_dr": 2.25, "ope_dm": None}
    assert not any("reference" in row for row in rows if row["kind"] == "heading")
    dashed = figure_of(one("a", 1.0)).spec["layer"][1]
    assert dashed["encoding"]["x"]["field"] == "reference"
    assert dashed["transform"] == [{"filter": "isValid(datum.reference)"}]


def test_values_of_policies_are_shown_without_the_zero_that_they_are_not_compared_with():
    policy = replace(one("ope_dr", 25.0, estimand="policy value"), diagnostics={"logged_value": 20.0})
    low, high = domain_of(figure_of(policy))
    assert 0 < low < 20
    assert high > 25


def test_one_estimate_is_called_one_and_no_number_of_looks():
    assert figure_of(one("a", 1.0)).spec["title"]["subtitle"] == ["1 estimate of one estimand with its 95% interval."]
    assert "the estimates are not independent" in figure_of(one("a", 1.0), one("b", 2.0)).spec["title"]["subtitle"][0]
