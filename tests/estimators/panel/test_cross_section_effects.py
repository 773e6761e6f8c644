from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel import cross_section_effects
from cqox.estimators.panel.comparisons import Comparisons, comparisons
from cqox.estimators.panel.cross_section_effects import section_effects
from cqox.estimators.panel.influence_factors import Part
from tests.estimators.staggering import staggered


def design(**changes: object) -> Data:
    return replace(staggered(50, dropped=0.3, weights="changing"), unit=None, **changes)


def ready(data: Data, **settings: object) -> tuple[Plan, Comparisons]:
    plan = Plan(data, Settings(control_group="not_yet_treated", **settings))
    return plan, comparisons(plan)


def contributions(parts: tuple[Part, ...], at: int, cells: int) -> np.ndarray:
    """Each row's contribution to one effect."""
    return np.concatenate([part.combined(np.eye(1, cells, at), np.zeros(1))[0] @ part.right for part in parts])


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_without_covariates_an_effect_and_its_contributions_are_of_four_means(base: str) -> None:
    data = design()
    plan, found = ready(data, base_period=base)
    effects, parts, failed = section_effects(found.panel, found.cells, None, plan.settings)
    cells, panel = found.cells, found.panel
    start, w = np.nan_to_num(data.cohort, nan=np.inf), data.weights / data.weights.mean()
    assert failed == {}
    for at in range(len(effects)):
        values = [panel.cohorts[each].onset.value for each in np.flatnonzero(cells.controls[at])]
        arms = (start == panel.cohorts[cells.cohort[at]].onset.value, np.isin(start, values))
        expected, parts_of_rows = 0.0, np.zeros(data.n)
        for sign, arm in zip((1, -1), arms, strict=True):
            for turn, when in ((1, cells.period[at]), (-1, cells.base[at])):
                own = arm & (data.time == when)
                mean = np.average(data.y[own], weights=w[own])
                expected += sign * turn * mean
                parts_of_rows[own] += sign * turn * w[own] / w[own].sum() * (data.y[own] - mean)
        assert effects[at] * panel.scale == pytest.approx(expected, abs=1e-9)
        own = contributions(parts, at, len(effects)) * panel.scale
        np.testing.assert_allclose(own, parts_of_rows[panel.position], atol=1e-10)


def test_with_covariates_it_is_the_regression_on_the_rows_of_both_periods() -> None:
    data = design(weights=None)
    plan, found = ready(data, did_method="reg")
    cells, panel = found.cells, found.panel
    effects, parts, failed = section_effects(panel, cells, plan.frame("x", panel.sample), plan.settings)
    assert failed == {}
    start, x = np.nan_to_num(data.cohort, nan=np.inf), np.column_stack([np.ones(data.n), data.covariates])
    for at in range(len(effects)):
        values = [panel.cohorts[each].onset.value for each in np.flatnonzero(cells.controls[at])]
        own = start == panel.cohorts[cells.cohort[at]].onset.value
        both, expected = own & np.isin(data.time, (cells.period[at], cells.base[at])), 0.0
        for sign, when in ((1, cells.period[at]), (-1, cells.base[at])):
            against = np.isin(start, values) & (data.time == when)
            line = np.linalg.lstsq(x[against], data.y[against], rcond=None)[0]
            expected += sign * (data.y[own & (data.time == when)].mean() - x[both].mean(axis=0) @ line)
        assert effects[at] * panel.scale == pytest.approx(expected, abs=1e-8)
        used = np.zeros(data.n, dtype=bool)
        used[panel.position[contributions(parts, at, len(effects)) != 0]] = True
        seen = np.isin(data.time, (cells.period[at], cells.base[at]))
        np.testing.assert_array_equal(used, seen & (own | np.isin(start, values)))


def test_an_effect_that_covariates_do_not_allow_is_missing_and_named_by_its_reason() -> None:
    data = design()
    telling = np.where(data.cohort == 2003, 1.0, 0.0)[:, None] + 1e-3 * data.covariates[:, :1]
    plan, found = ready(replace(data, covariates=telling, propensity_covariates=telling), did_method="ipw")
    frame = plan.frame("x", found.panel.sample)
    effects, parts, failed = section_effects(found.panel, found.cells, frame, plan.settings)
    assert {why.code for why in failed} == {"panel.covariates-separate-units"}
    assert sum(len(names) for names in failed.values()) == np.count_nonzero(np.isnan(effects))
    first = [cohort.onset.value for cohort in found.panel.cohorts].index(2003.0)
    assert np.isnan(effects[found.cells.cohort == first]).all()
    # Cells of the factors are numbered among the estimated ones.
    assert max(int(part.cells.max(initial=-1)) for part in parts) == np.count_nonzero(~np.isnan(effects)) - 1


def test_contributions_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_section_effects, "_MOST_KEPT", 100)
    plan, found = ready(design())
    for frame in (None, plan.frame("x", found.panel.sample)):
        with pytest.raises(UnusableData) as caught:
            section_effects(found.panel, found.cells, frame, plan.settings)
        assert caught.value.args[0].code == "panel.too-many-contributions-of-rows"
