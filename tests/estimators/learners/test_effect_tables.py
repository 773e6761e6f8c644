from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.estimators.learners.effect_tables import coefficient_table, judgement_table, spread_table
from cqox.estimators.learners.heterogeneity import Judged

EFFECTS = np.random.default_rng(1).standard_normal(400) + 0.5
COVARIANCE = np.array([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.05]])


def test_the_spread_is_in_report_units():
    found = spread_table(EFFECTS, None, 10.0)
    assert found["mean"] == pytest.approx(10 * EFFECTS.mean())
    assert found["sd"] == pytest.approx(10 * EFFECTS.std())
    assert (found["minimum"], found["maximum"]) == pytest.approx((10 * EFFECTS.min(), 10 * EFFECTS.max()))
    assert found["share_positive"] == np.mean(EFFECTS > 0)
    for name, share in (("p10", 0.1), ("median", 0.5), ("p75", 0.75)):
        assert found[name] == pytest.approx(10 * np.quantile(EFFECTS, share, method="hazen"))


def test_whole_weights_count_rows_as_often_and_equal_ones_change_nothing():
    assert spread_table(EFFECTS, np.full(400, 2.0), 1.0) == pytest.approx(spread_table(EFFECTS, None, 1.0))
    times = np.random.default_rng(2).integers(1, 4, 400)
    weighted, repeated = spread_table(EFFECTS, times.astype(float), 1.0), spread_table(EFFECTS.repeat(times), None, 1.0)
    for name in ("mean", "sd", "share_positive", "minimum", "maximum"):
        assert weighted[name] == pytest.approx(repeated[name])
    assert weighted["median"] == pytest.approx(repeated["median"], abs=0.02)


def test_one_effect_for_all_has_no_spread():
    found = spread_table(np.full(7, -2.0), None, 3.0)
    assert (found["mean"], found["sd"], found["p10"], found["share_positive"]) == (-6.0, 0.0, -6.0, 0.0)


def test_coefficients_of_one_split_have_their_interval_and_a_wald_test_of_the_slopes():
    beta = np.array([1.0, -0.4, 0.7])
    found = coefficient_table(["c", "a", "b"], [(beta, COVARIANCE)], 2.0, 0.1, None)
    row = found["coefficients"][1]
    assert (row["label"], row["estimate"], row["standard_error"]) == ("a", -0.8, pytest.approx(0.6))
    assert row["ci_upper"] == pytest.approx(-0.8 + stats.norm.isf(0.05) * 0.6)
    assert row["p_value"] == pytest.approx(2 * stats.norm.sf(4 / 3))
    wald = beta[1:] @ np.linalg.solve(COVARIANCE[1:, 1:], beta[1:])
    assert found["test"]["statistic"] == pytest.approx(wald)
    assert found["test"]["p_value"] == pytest.approx(stats.chi2.sf(wald, 2))
    assert found["test"]["degrees"] == 2


def test_with_clusters_the_test_is_hotellings_and_needs_more_clusters_than_slopes():
    beta = np.array([1.0, -0.4, 0.7])
    found = coefficient_table(["c", "a", "b"], [(beta, COVARIANCE)], 1.0, 0.05, 9.0)
    wald = beta[1:] @ np.linalg.solve(COVARIANCE[1:, 1:], beta[1:])
    assert found["test"]["statistic"] == pytest.approx(wald * 8 / (9 * 2))
    assert found["test"]["p_value"] == pytest.approx(stats.f.sf(wald * 8 / 18, 2, 8))
    assert found["coefficients"][0]["ci_upper"] == pytest.approx(1 + stats.t.isf(0.025, 9) * 0.2)
    assert coefficient_table(["c", "a", "b"], [(beta, COVARIANCE)], 1.0, 0.05, 1.0)["test"] is None


def test_several_splits_have_the_median_its_spread_and_twice_the_median_p_value():
    fits = [(np.array([value, 0.1 * value]), np.eye(2) * 0.04) for value in (1.0, 2.0, 5.0)]
    found = coefficient_table(["c", "a"], fits, 1.0, 0.05, None)
    row = found["coefficients"][0]
    # The variances with the squared distances from the median are 1.04, 0.04 and 9.04.
    assert (row["estimate"], row["standard_error"]) == (2.0, pytest.approx(np.sqrt(1.04)))
    assert found["test"]["p_value"] == pytest.approx(min(1.0, 2 * stats.chi2.sf(1.0, 1)))


def test_an_intercept_alone_or_a_singular_covariance_has_no_test():
    assert coefficient_table(["c"], [(np.ones(1), np.eye(1))], 1.0, 0.05, None)["test"] is None
    flat = coefficient_table(["c", "a"], [(np.ones(2), np.diag([1.0, 0.0]))], 1.0, 0.05, None)
    assert flat["test"] is None
    assert flat["coefficients"][1]["standard_error"] is None


JUDGED = Judged(
    rows=90, counts=np.array([30.0, 30.0, 30.0]), predicted=np.array([0.1, 0.4, 0.9]),
    groups=np.array([0.2, 0.5, 1.1]), covariance=COVARIANCE, slope=(0.8, 0.01), autoc=(0.3, 0.0025),
    qini=(0.1, 0.0004), shares=np.array([0.25, 0.5]), gains=np.array([0.6, 0.2]), variances=np.array([0.04, 0.01]),
)  # fmt: skip


def test_groups_and_curve_are_in_report_units_and_the_slope_is_not():
    found = judgement_table([JUDGED], 2.0, 0.05, None)
    assert [each["estimate"] for each in found["groups"]] == pytest.approx([0.4, 1.0, 2.2])
    assert [each["predicted"] for each in found["groups"]] == pytest.approx([0.2, 0.8, 1.8])
    assert found["groups"][2]["standard_error"] == pytest.approx(2 * np.sqrt(0.05))
    assert (found["rows"], found["groups"][0]["rows"]) == (90, 30)
    assert found["top_minus_bottom"]["estimate"] == pytest.approx(1.8)
    assert found["top_minus_bottom"]["standard_error"] == pytest.approx(2 * np.sqrt(0.09))
    assert (found["slope"]["estimate"], found["slope"]["standard_error"]) == pytest.approx((0.8, 0.1))
    assert found["autoc"]["estimate"] == pytest.approx(0.6)
    assert [each["share"] for each in found["curve"]] == [0.25, 0.5]
    assert [each["gain"] for each in found["curve"]] == pytest.approx([1.2, 0.4])
    assert found["curve"][0]["upper"] == pytest.approx(1.2 + stats.norm.isf(0.025) * 0.4)


def test_the_test_of_equal_groups_is_walds_of_their_differences():
    change = np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
    off = change @ JUDGED.groups
    wald = off @ np.linalg.solve(change @ COVARIANCE @ change.T, off)
    found = judgement_table([JUDGED], 2.0, 0.05, None)["equal_groups"]
    assert (found["statistic"], found["degrees"]) == (pytest.approx(wald), 2)


def test_areas_have_degrees_of_freedom_of_their_own():
    found = judgement_table([replace(JUDGED, degrees=8.0, within=4.0)], 1.0, 0.05, 20.0)
    assert found["autoc"]["ci_upper"] == pytest.approx(0.3 + stats.t.isf(0.025, 4) * 0.05)
    assert found["slope"]["ci_upper"] == pytest.approx(0.8 + stats.t.isf(0.025, 8) * 0.1)


def test_splits_with_another_number_of_groups_do_not_enter_them():
    other = replace(JUDGED, groups=np.array([9.0]), covariance=np.eye(1), predicted=np.ones(1), counts=np.ones(1))
    found = judgement_table([JUDGED, other], 1.0, 0.05, None)
    assert [each["estimate"] for each in found["groups"]] == pytest.approx([0.2, 0.5, 1.1])
