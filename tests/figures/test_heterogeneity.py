import pytest

from cqox.figures.heterogeneity import heterogeneity
from tests.figures.drawn import of_design, values


def test_the_groups_are_those_of_the_diagnostics_from_the_least_to_the_most():
    drawn = of_design("cross-section")
    found = drawn.diagnostics["heterogeneity"]
    rows = [row for row in values(drawn.figures["heterogeneity"]) if row["kind"] == "group"]
    assert [row["effect"] for row in rows] == [group["estimate"] for group in found["groups"]]
    assert [row["group"] for row in rows] == ["1 (smallest)", "2", "3", "4", "5 (largest)"]
    assert all(row["lower"] < row["effect"] < row["upper"] for row in rows)


def test_the_curve_begins_and_ends_at_nothing_and_is_the_gain_times_the_share():
    drawn = of_design("cross-section")
    curve = drawn.diagnostics["heterogeneity"]["curve"]
    rows = [row for row in values(drawn.figures["heterogeneity"]) if row["kind"] == "curve"]
    assert (rows[0]["gain"], rows[-1]["gain"]) == (0.0, 0.0)
    assert [row["gain"] for row in rows[1:-1]] == pytest.approx([point["share"] * point["gain"] for point in curve])
    assert [row["share"] for row in rows] == sorted(row["share"] for row in rows)


def test_the_words_name_treatment_outcome_learner_and_level():
    figure = of_design("cross-section").figures["heterogeneity"]
    assert figure.title == "Heterogeneous effects of 広告配信"
    assert "売上高（円）" in figure.alt
    assert "Qini" in figure.alt
    first, second = figure.spec["title"]["subtitle"]
    assert "DR-learner" in first
    assert "95% intervals" in second


def test_without_groups_there_is_no_figure():
    drawn = of_design("cross-section")
    assert heterogeneity(drawn.plan, "t", {"heterogeneity": {"reason": "Too few rows."}}) is None
    assert "heterogeneity" not in of_design("amount").figures
