from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data
from tests.diagnostics.looking import judged, reference, trial
from tests.estimators.designs import panel


def flat(units: int = 60, periods: int = 6, seed: int = 0, *, trend: float = 0.0, staggered: bool = False) -> Data:
    """A panel whose treated units drift apart by `trend` a period before and after."""
    data = panel(units, periods, seed, staggered=staggered)
    rng = np.random.default_rng(seed)
    ever = np.isin(data.unit, np.unique(data.unit[data.treatment == 1]))
    return replace(data, y=rng.standard_normal(data.n) + trend * ever * data.time)


def test_a_lead_is_the_difference_of_the_changes_before_treatment() -> None:
    data = flat()
    y = data.y.reshape(60, 6)
    treated = data.treatment.reshape(60, 6).any(axis=1)
    found = judged(data, only=["twfe"]).diagnostics["pre_trends"]
    assert [lead["lead"] for lead in found["leads"]] == [-2, -3]
    for lead in found["leads"]:
        change = y[:, 3 + lead["lead"]] - y[:, 2]
        assert lead["estimate"] == pytest.approx(change[treated].mean() - change[~treated].mean(), rel=1e-10)
        error = np.sqrt(sum(change[arm].var(ddof=1) / arm.sum() for arm in (treated, ~treated)))
        assert lead["standard_error"] == pytest.approx(error, rel=1e-10)


def test_the_leads_are_those_of_the_published_event_study() -> None:
    found = judged(reference("mpdta_twfe"), only=["twfe"]).diagnostics["pre_trends"]
    # R's did with base_period = "universal": aggte(type = "dynamic") of mpdta, never treated, no covariates.
    values = {lead["lead"]: lead["estimate"] for lead in found["leads"]}
    assert values[-2] == pytest.approx(0.0245, abs=5e-5)
    assert values[-3] == pytest.approx(0.0250, abs=5e-5)
    assert values[-4] == pytest.approx(0.0033, abs=5e-5)


def test_a_report_has_one_test_of_trends_before_treatment() -> None:
    seen = judged(flat(staggered=True), only=["twfe", "did_callaway_santanna"])
    own, study = seen.diagnostics["pre_trends"], seen.diagnostics["event_study"]["pre_trends"]
    assert own["p_value"] == study["p_value"] is not None
    assert own["tested_leads"] == study["leads"]
    assert own["test"] == study["test"]


def test_a_start_with_a_single_unit_takes_no_part() -> None:
    data = flat()
    rest = (data.unit == 0) | (np.bincount(data.unit, data.treatment)[data.unit] == 0)
    lone = data.rows(np.flatnonzero(rest))
    assert "two treated" in judged(lone, only=["twfe"]).diagnostics["pre_trends"]["reason"]


def test_leads_of_a_treatment_that_ends_again_are_tested_by_themselves() -> None:
    data = flat(units=80)
    ends = replace(data, treatment=data.treatment * (data.time < 5))
    found = judged(ends, only=["twfe"]).diagnostics["pre_trends"]
    assert found["test"] == "Hotelling's T² test that these leads are all 0"
    assert found["tested_leads"] == [-2, -3]
    assert found["p_value"] is not None
    few = data.rows(np.flatnonzero((data.unit < 3) | (data.unit >= 40)))
    few = replace(few, treatment=few.treatment * (few.time < 5))
    reported = judged(few, only=["twfe"]).diagnostics["pre_trends"]
    assert (reported["tested_leads"], reported["left_out"]) == ([-2], [-3])


def test_a_trend_before_treatment_is_found() -> None:
    seen = judged(flat(trend=1.5))
    assert seen.diagnostics["pre_trends"]["p_value"] < 1e-6
    assert seen.gates["pre_trends"].status == "fail"


def test_parallel_trends_are_rarely_rejected() -> None:
    rejected = [
        judged(flat(40, seed=seed), only=["twfe"]).diagnostics["pre_trends"]["p_value"] < 0.05 for seed in range(200)
    ]
    assert np.mean(rejected) < 0.1


def test_a_cross_section_has_a_reason_instead() -> None:
    assert judged(trial()).diagnostics["pre_trends"]["reason"]
    assert judged(trial()).gates["pre_trends"].status == "not_applicable"


def test_one_period_before_treatment_is_too_few() -> None:
    data = flat(periods=3)
    data = replace(data, treatment=((data.unit < 30) & (data.time >= 1)).astype(float))
    assert "two periods" in judged(data, only=["twfe"]).diagnostics["pre_trends"]["reason"]
