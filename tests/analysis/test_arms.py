from dataclasses import replace

import numpy as np
import pytest

from cqox.analysis.arms import amount_of, arms_of_contrast, counts_of
from cqox.estimators import Data, Plan, Settings
from tests.estimators.designs import cross_section, discontinuity, logged, panel, series, two_populations


def plan_of(data: Data) -> Plan:
    return Plan(data, Settings())


def test_arms_have_rows_shares_and_clusters() -> None:
    data = cross_section(n=300)
    assert data.treatment is not None
    data = replace(data, clusters=(np.arange(300) // 10,))
    plan = plan_of(data)
    control, treated = arms_of_contrast(plan, plan.sample("y", "treatment"), "comparison", ("no", "yes"))
    assert (control.level, treated.level) == ("no", "yes")
    assert treated.rows == int(data.treatment.sum())
    assert control.rows + treated.rows == 300
    assert treated.share == pytest.approx(treated.rows / 300)
    assert treated.clusters == len(np.unique(data.clusters[0][data.treatment > 0]))
    assert counts_of(plan, plan.sample("y")) == {"units": None, "periods": None, "clusters": 30}


def test_levels_of_0_and_1_are_called_untreated_and_treated() -> None:
    plan = plan_of(cross_section())
    found = arms_of_contrast(plan, plan.sample("y"), "comparison", ("0", "1"))
    assert [each.level for each in found] == ["untreated", "treated"]


def test_over_time_a_unit_that_is_ever_treated_is_treated() -> None:
    data = panel(units=40, periods=6)
    assert data.treatment is not None
    assert data.unit is not None
    plan = plan_of(data)
    sample = plan.sample("y", "treatment", "unit_id", "time")
    ever = len(np.unique(data.unit[data.treatment > 0]))
    control, treated = arms_of_contrast(plan, sample, "trends", ("0", "1"))
    assert (control.units, treated.units, treated.rows) == (40 - ever, ever, 6 * ever)
    assert counts_of(plan, sample)["periods"] == 6


def test_a_series_has_rows_before_and_after_its_change() -> None:
    data = series()
    plan = plan_of(data)
    before, after = arms_of_contrast(plan, plan.sample("y", "time"), "interrupted_series", None)
    assert (before.level, after.level) == ("before the change", "from the change on")
    assert before.rows + after.rows == data.n
    assert 0 < after.rows < data.n


def test_a_cutoff_has_two_sides_of_which_neither_is_called_treated() -> None:
    data = discontinuity()
    assert data.running is not None
    plan = plan_of(data)
    below, above = arms_of_contrast(plan, plan.sample("running"), "sharp_cutoff", None)
    assert above.rows == int((data.running >= data.cutoff).sum())
    assert (below.treated, above.treated) == (None, None)


def test_a_log_has_its_actions_and_two_populations_have_arms_in_the_source() -> None:
    data = logged(actions=3)
    plan = plan_of(data)
    found = arms_of_contrast(plan, plan.sample("action"), "policy_log", None)
    assert [each.rows for each in found] == np.bincount(data.action).tolist()
    data = two_populations()
    assert data.in_source is not None
    plan = plan_of(data)
    arms = arms_of_contrast(plan, plan.sample("sample", "covariates"), "transport", ("0", "1"))
    assert sum(arm.rows for arm in arms) == int(data.in_source.sum())


def test_an_amount_has_a_range_and_no_arms() -> None:
    data = cross_section(continuous=True)
    assert data.treatment is not None
    plan = plan_of(data)
    sample = plan.sample("y", "treatment")
    amount = amount_of(plan, sample)
    assert amount is not None
    assert (amount.minimum, amount.maximum) == (data.treatment.min(), data.treatment.max())
    assert arms_of_contrast(plan, sample, "comparison", None) == []
    assert amount_of(plan_of(cross_section()), sample) is None
