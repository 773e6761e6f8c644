from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.inference.arm_sizes import (
    RowsByArm,
    allowing_for_few_clusters,
    arm_codes_over_time,
    doubtful_rows,
    rows_by_arm,
)
from cqox.estimators.inference.standard_errors import Uncertainty
from tests.estimators.designs import cross_section, panel, with_covariates

HC1 = Uncertainty(standard_error=0.5, method="HC1", degrees=None)
CRV3 = Uncertainty(standard_error=0.5, method="CRV3", degrees=5.0)


def counted(data: Data, family: str = "regression", estimand: str = "ATE") -> RowsByArm | None:
    plan = Plan(data, Settings())
    return rows_by_arm(plan, plan.outcome_sample(), family, estimand)


def test_arms_are_counted_for_families_that_compare_their_rows():
    data = cross_section(n=200)
    treated = int(data.treatment.sum())
    assert counted(data) == RowsByArm(untreated=200 - treated, treated=treated, constant=())
    assert counted(data, family="iv") is None
    assert counted(data, estimand="LATE") is None
    assert counted(cross_section(n=200, continuous=True)) is None


def test_a_constant_arm_is_found_and_one_that_varies_late_in_the_table_is_not():
    data = cross_section(n=600)
    flat = np.where(data.treatment > 0, 3.0, data.y)
    assert counted(replace(data, y=flat)).constant == (1,)
    last = np.flatnonzero(data.treatment > 0)[-1]
    assert last > 300
    flat[last] = 4.0
    assert counted(replace(data, y=flat)).constant == ()


def doubts(treated: int, family: str = "regression", *, constant: tuple[int, ...] = (), method: str = "HC1",
           covariates: int = 4, clustered: bool = False) -> list[str]:  # fmt: skip
    data = cross_section(n=60, weights=False)
    data = with_covariates(data, data.covariates[:, :covariates])
    if clustered:
        data = replace(data, clusters=(np.arange(60) % 6,))
    arms = RowsByArm(untreated=1000, treated=treated, constant=constant)
    found = doubtful_rows(arms, Plan(data, Settings()), family, replace(HC1, method=method))
    return [each.code for each in found]


def test_few_rows_of_an_arm_are_doubted_unless_the_error_corrects_for_them():
    assert doubts(10) == []
    assert doubts(9) == ["inference.few-rows"]
    assert doubts(9, method="HC2") == ["inference.few-rows-corrected"]
    assert doubts(9, method="CRV1") == []


def test_models_need_ten_rows_for_each_coefficient():
    assert doubts(49, "weighting") == ["inference.few-rows-for-models"]
    assert doubts(50, "weighting") == []
    assert doubts(49, "matching") == []
    assert doubts(9, "weighting") == ["inference.few-rows"]
    assert doubts(12, "weighting", covariates=0) == []


def test_a_constant_arm_is_always_doubted_and_few_rows_only_where_no_cluster_is_mapped():
    assert doubts(5, constant=(0, 1), clustered=True) == ["inference.constant-arm"] * 2
    assert doubts(5, constant=(1,)) == ["inference.constant-arm", "inference.few-rows"]


def allowed(treated_clusters: int, uncertainty: Uncertainty = CRV3, **settings: object) -> Uncertainty:
    data = cross_section(n=240, weights=False)
    codes = np.arange(240) % 24
    data = replace(data, clusters=(codes,), treatment=(codes < treated_clusters).astype(float))
    plan = Plan(data, Settings(**settings))
    return allowing_for_few_clusters(uncertainty, plan, plan.outcome_sample(), "regression", "ATE")


def test_the_clusters_of_each_arm_are_counted_and_few_are_a_warning():
    assert (allowed(12).by_arm.treated, allowed(12).by_arm.untreated) == (12, 12)
    assert allowed(12).warnings == ()
    assert [each.code for each in allowed(3).warnings] == ["inference.few-clusters-in-arm"]
    assert allowed(3, HC1).warnings == ()


def test_one_cluster_in_an_arm_has_a_clustered_error_on_request_only():
    refused = allowed(1)
    assert refused.standard_error is None
    assert [each.code for each in refused.warnings] == ["inference.no-error-with-one-cluster-in-arm"]
    assert allowed(1, se="CRV1").standard_error == 0.5
    assert allowed(1, HC1).standard_error == 0.5


def over_time(data: Data, *, staggered: bool) -> np.ndarray | None:
    plan = Plan(data, Settings())
    return arm_codes_over_time(plan, plan.sample("y", "time"), staggered=staggered)


def test_rows_of_periods_without_treatment_belong_to_no_arm():
    data = panel(units=10, periods=4)
    expected = np.where(data.time >= 2, data.treatment, -1.0)
    np.testing.assert_array_equal(over_time(data, staggered=False), expected)


@pytest.mark.parametrize("start", [2001.0, 2003.0])
def test_the_cohort_defines_treatment_in_the_staggered_designs_alone(start: float):
    data = panel(units=10, periods=4)
    cohort = np.where(data.unit < 3, start, np.nan)
    year = 2000.0 + data.time
    expected = np.where(year >= start, (data.unit < 3).astype(float), -1.0)
    np.testing.assert_array_equal(over_time(replace(data, cohort=cohort), staggered=True), expected)
    np.testing.assert_array_equal(
        over_time(replace(data, cohort=cohort), staggered=False), over_time(data, staggered=False)
    )


def test_an_amount_of_treatment_has_no_arms():
    assert over_time(replace(panel(units=10, periods=4), treatment_kind="continuous"), staggered=True) is None


@pytest.mark.parametrize(("family", "treated"), [("did", 10), ("did_staggered", 3)])
def test_clusters_over_time_are_counted_by_the_treatment_of_the_family(family: str, treated: int):
    data = panel(units=20, periods=4)
    cohort = np.where(data.unit < 3, 2001.0, np.nan)
    plan = Plan(replace(data, cohort=cohort), Settings())
    found = allowing_for_few_clusters(CRV3, plan, plan.sample("y", "time"), family, "ATT")
    assert found.by_arm.treated == treated
