from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cqox.diagnostics import gates
from cqox.diagnostics.event_study import event_study
from cqox.diagnostics.primary import Primary
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.diagnostics.looking import Judgement, judged, reference, trial
from tests.estimators.designs import panel

STAGGERED = ("did_callaway_santanna", "did_imputation", "twfe")


def drifting(trend: float, seed: int = 0, units: int = 120) -> Data:
    """A staggered panel without covariates whose treated units drift apart by so much a period."""
    data = panel(units, 8, seed, staggered=True)
    rng = np.random.default_rng(seed)
    ever = np.isin(data.unit, np.unique(data.unit[data.treatment == 1]))
    nothing = np.empty((data.n, 0))
    return replace(
        data,
        y=rng.standard_normal(data.n) + data.treatment + trend * ever * data.time,
        covariates=nothing,
        propensity_covariates=nothing,
    )


def seen(data: Data, **settings: object) -> Judgement:
    return judged(data, only=STAGGERED, settings=Settings(**settings))


def test_staggered_starts_are_judged_by_the_effects_of_cohorts() -> None:
    found = seen(drifting(0.0))
    assert found.primary.name == "did_callaway_santanna"
    assert found.gates["pre_trends"].status == "pass"
    told = found.diagnostics["event_study"]
    assert told["events"] == found.estimate("did_callaway_santanna").diagnostics["dynamic"]["averages"]
    assert found.gates["pre_trends"].value == told["pre_trends"]["p_value"]


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_a_trend_before_treatment_sets_off_the_gate(base: str) -> None:
    found = seen(drifting(0.6), base_period=base)
    assert found.diagnostics["event_study"]["pre_trends"]["p_value"] < 1e-3
    assert found.gates["pre_trends"].status == "fail"
    assert found.decision.verdict != "GO"


def test_a_slight_trend_is_a_warning() -> None:
    statuses = [seen(drifting(0.22, seed)).gates["pre_trends"].status for seed in range(12)]
    assert "warn" in statuses


def test_parallel_trends_are_rarely_rejected() -> None:
    values = [seen(drifting(0.0, seed)).diagnostics["event_study"]["pre_trends"]["p_value"] for seed in range(150)]
    assert np.mean(np.asarray(values) < 0.05) < 0.11


def test_the_joint_test_of_all_effects_before_treatment_is_the_published_one() -> None:
    plan = Plan(reference("mpdta_cs_simple"), Settings(se="HC0"))
    entry = next(entry for entry in catalog() if entry.name == "did_callaway_santanna")
    # R's did: "P-value for pre-test of parallel trends assumption: 0.16812".
    assert run(entry, plan).diagnostics["pre_test"]["p_value"] == pytest.approx(0.16812, abs=5e-6)


def test_the_detectable_slope_does_not_depend_on_what_effects_before_are_changes_from() -> None:
    data = drifting(0.0)
    slopes = [
        seen(data, base_period=base).diagnostics["event_study"]["pre_trends"]["detectable_slope"]
        for base in ("varying", "universal")
    ]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.2)
    more = seen(drifting(0.0, units=480)).diagnostics["event_study"]["pre_trends"]["detectable_slope"]
    assert more == pytest.approx(slopes[0] / 2, rel=0.25)


def test_without_effects_by_cohort_there_is_a_reason() -> None:
    assert "No effects by cohort" in judged(trial()).diagnostics["event_study"]["reason"]


def test_no_effect_before_treatment_leaves_the_gate_open_with_a_reason() -> None:
    data = drifting(0.0)
    early = replace(data, treatment=((data.unit < 60) & (data.time >= 1)).astype(float))
    plan = Plan(early, Settings())
    estimates = [run(entry, plan) for entry in catalog() if entry.name == "did_callaway_santanna"]
    told = event_study(plan, estimates)
    assert "before treatment" in told["pre_trends"]["reason"]
    assert "reason" in told["honest"]
    gate = gates({"event_study": told}, estimates, Primary(name="did_callaway_santanna", rule="."))["pre_trends"]
    assert gate.status == "not_applicable"


def test_honest_intervals_widen_with_the_departure_and_begin_at_the_plain_one() -> None:
    found = seen(drifting(0.0))
    first = next(row for row in found.diagnostics["event_study"]["events"] if row["event"] == 0)
    told = found.diagnostics["event_study"]["honest"]["first"]
    rows = told["relative_magnitudes"]
    assert (rows[0]["lower"], rows[0]["upper"]) == pytest.approx((first["lower"], first["upper"]), rel=1e-10)
    for less, more in pairwise(rows):
        assert more["lower"] < less["lower"]
        assert less["upper"] < more["upper"]


def test_both_bases_bound_the_first_effect_alike() -> None:
    data = drifting(0.0)
    one, two = (
        seen(data, base_period=base).diagnostics["event_study"]["honest"]["first"] for base in ("varying", "universal")
    )
    assert one["estimate"] == pytest.approx(two["estimate"], rel=1e-10)
    assert one["relative_magnitudes"][2]["upper"] == pytest.approx(two["relative_magnitudes"][2]["upper"], rel=0.3)
