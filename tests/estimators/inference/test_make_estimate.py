import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.contract.messages import Message
from cqox.estimators import Data, Estimate, Plan, Settings
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    finite,
    make_estimate,
    no_absorbing,
    only_panel_effects,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import Uncertainty
from tests.estimators.designs import cross_section, panel, two_periods

DATA = cross_section(n=200)
KNOWN = Uncertainty(standard_error=0.5, method="HC1", degrees=None, alternates={"HC0": 0.4})
NOTE, CAVEAT = Message("inference.pooled-periods"), Message("inference.no-variation")


def made(uncertainty: Uncertainty = KNOWN, data: Data = DATA, family: str = "iv", **given: object) -> Estimate:
    plan = Plan(data, Settings(alpha=0.1))
    sample = plan.outcome_sample()
    contributions = np.linspace(-1, 1, sample.n)
    return make_estimate(EstimateId("name", family, "ATE"), plan, sample, 1.2, contributions, uncertainty, **given)


def test_the_interval_and_the_p_value_are_those_of_the_normal_or_of_t():
    found = made()
    half = stats.norm.isf(0.05) * 0.5
    assert (found.ci_lower, found.ci_upper) == pytest.approx((1.2 - half, 1.2 + half))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(2.4))
    assert (found.status, found.se_method) == ("ok", "HC1")
    assert found.diagnostics == {"standard_errors": {"HC0": 0.4}}
    few = made(replace(KNOWN, degrees=4.0))
    assert few.ci_upper - 1.2 == pytest.approx(stats.t.isf(0.05, 4) * 0.5)
    assert few.p_value == pytest.approx(2 * stats.t.sf(2.4, 4))
    assert few.diagnostics["degrees_of_freedom"] == 4.0


def test_without_an_error_there_is_no_interval_but_a_reason():
    found = made(replace(KNOWN, standard_error=None))
    assert (found.estimate, found.standard_error, found.ci_lower, found.p_value) == (1.2, None, None, None)
    assert found.se_method is None
    assert [each.code for each in found.warnings] == ["inference.no-variation"]
    given = made(replace(KNOWN, standard_error=None, warnings=(NOTE,)))
    assert given.warnings == (NOTE,)


def test_notes_and_warnings_are_reported_once():
    found = made(replace(KNOWN, notes=(NOTE,), warnings=(CAVEAT,)), notes=[NOTE], warnings=[CAVEAT])
    assert found.status == "warning"
    assert found.warnings == (CAVEAT,)
    assert found.diagnostics["notes"] == [NOTE]


def test_the_influence_function_is_by_row_of_the_data_and_zero_for_rows_not_used():
    y = DATA.y.copy()
    y[[0, 7]] = np.nan
    influence = made(data=replace(DATA, y=y)).influence
    used = np.setdiff1d(np.arange(200), [0, 7])
    np.testing.assert_allclose(influence[used], 198 * np.linspace(-1, 1, 198))
    assert influence[[0, 7]].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(made().influence, 200 * np.linspace(-1, 1, 200))


def test_families_that_compare_arms_count_their_rows():
    treated = int(DATA.treatment.sum())
    found = made(family="regression")
    assert found.diagnostics["rows_by_arm"] == {"untreated": 200 - treated, "treated": treated}
    codes = np.arange(200) % 40
    by_arm = {arm: len(set(codes[DATA.treatment == level])) for level, arm in enumerate(("untreated", "treated"))}
    clustered = made(data=replace(DATA, clusters=(codes,)), family="regression")
    assert clustered.diagnostics["clusters_by_arm"] == by_arm


def test_effective_rows_are_kishs():
    assert effective_rows(None, 7) == 7.0
    assert effective_rows(np.array([1.0, 1.0, 2.0]), 3) == pytest.approx(16 / 6)
    assert made(n_effective=12.0).n_effective == 12.0
    assert made().n_effective == pytest.approx(DATA.weights.sum() ** 2 / (DATA.weights @ DATA.weights))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_none(value: float):
    assert finite(value) is None
    assert finite(-1.5) == -1.5


def reason(of: object, data: Data) -> str | None:
    plan = Plan(data, Settings())
    found = of(plan, plan.outcome_sample())
    return None if found is None else found.code


def test_samples_without_a_comparison_are_refused():
    assert reason(two_arms, DATA) is reason(varying_outcome, DATA) is None
    assert reason(varying_outcome, replace(DATA, y=np.full(200, 3.0))) == "inference.constant-outcome"
    y = np.where(np.arange(200) < 3, DATA.y, np.nan)
    assert reason(two_arms, replace(DATA, y=y)) == "inference.few-complete-rows"
    one = (np.arange(200) < 1).astype(float)
    assert reason(two_arms, replace(DATA, treatment=one)) == "inference.arm-too-small"
    assert reason(varying_outcome, replace(DATA, treatment=one)) is None


def test_pooled_periods_and_pooled_rows_of_units_are_warnings():
    def codes(data: Data) -> list[str]:
        return [each.code for each in pooled_periods(Plan(data, Settings()))]

    assert codes(DATA) == []
    assert codes(replace(DATA, time=np.zeros(200, dtype=np.int64))) == []
    assert codes(panel()) == codes(two_periods()) == ["inference.pooled-periods"]
    assert codes(replace(panel(), time=None)) == ["inference.pooled-rows-of-units"]


def test_effects_that_differences_within_units_remove_are_accepted():
    data = panel(units=10, periods=4)
    assert reason(only_panel_effects, data) is None
    region = data.unit // 2
    assert reason(only_panel_effects, replace(data, fixed_effects=(region, data.time))) is None
    shift = np.arange(data.n) % 3
    assert reason(only_panel_effects, replace(data, fixed_effects=(region, shift))) == "inference.effects-not-absorbed"
    assert no_absorbing(Plan(data, Settings())) is None
    assert no_absorbing(Plan(replace(data, fixed_effects=(region,)), Settings())) is not None
