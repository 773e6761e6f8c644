from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cqox.diagnostics import gates
from cqox.diagnostics.event_study import event_study, joint_test_before
from cqox.diagnostics.holm import holm
from cqox.diagnostics.primary import Primary
from cqox.estimators import Data, Json, Plan, Settings, catalog, run
from cqox.estimators.panel.did_staggered import event_study as estimated_study
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
    reported = found.diagnostics["event_study"]
    assert reported["events"] == found.estimate("did_callaway_santanna").diagnostics["dynamic"]["averages"]
    line = found.diagnostics["pre_trends"]["trend"]["p_value"]
    assert found.gates["pre_trends"].value == min(holm([reported["pre_trends"]["p_value"], line]))


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_a_trend_before_treatment_sets_off_the_gate(base: str) -> None:
    found = seen(drifting(0.6), base_period=base)
    assert found.diagnostics["event_study"]["pre_trends"]["p_value"] < 1e-3
    assert found.gates["pre_trends"].status == "fail"
    assert found.decision.verdict != "GO"


def test_a_slight_trend_caps_the_verdict_unless_it_is_declared_away() -> None:
    found = [seen(drifting(0.22, seed)) for seed in range(12)]
    doubtful = [each for each in found if 0.01 <= each.gates["pre_trends"].value < 0.05]
    assert doubtful
    assert {each.gates["pre_trends"].status for each in doubtful} == {"pass"}
    entries = [entry for each in doubtful for entry in each.identification.assumptions]
    assert {entry.status for entry in entries if entry.name == "parallel_trends"} == {"declared"}


def test_parallel_trends_are_rarely_rejected() -> None:
    values = [seen(drifting(0.0, seed)).diagnostics["event_study"]["pre_trends"]["p_value"] for seed in range(150)]
    assert np.mean(np.asarray(values) < 0.05) < 0.11


def cohorts_of(sizes: Sequence[int], never: int, seed: int, periods: int = 11) -> Data:
    """A panel without effects whose cohorts, treated from period 6 on one after the other, have so many units."""
    rng = np.random.default_rng(seed)
    units = sum(sizes) + never
    starts = np.repeat([*(6.0 + np.arange(len(sizes))), np.nan], [*sizes, never])
    time = np.tile(np.arange(periods), units)
    cohort = np.repeat(starts, periods)
    return Data(
        n=units * periods,
        y=np.repeat(rng.standard_normal(units), periods) + 0.3 * rng.standard_normal(units * periods),
        treatment=np.where(np.isnan(cohort), 0.0, time >= cohort).astype(float),
        treatment_kind="binary",
        unit=np.repeat(np.arange(units), periods),
        time=time,
        time_values=np.arange(float(periods)),
        cohort=cohort,
        row_key=np.arange(units * periods, dtype=np.uint64),
        names={"y": ("y",), "unit_id": ("unit",), "time": ("time",), "cohort": ("cohort",)},
    )


def before_treatment(data: Data, **settings: object) -> dict[str, Json]:
    plan = Plan(data, Settings(**settings))
    return joint_test_before(plan, estimated_study(plan))


@pytest.mark.parametrize(
    ("sizes", "never"),
    [
        ((1, 13, 4, 2, 1), 29),
        ((2, 2, 2, 2, 2), 40),
        ((3, 3, 3, 3, 3), 35),
        ((5, 5, 5, 5, 5), 25),
        ((2, 13, 4, 2, 2), 27),
    ],
)
def test_small_cohorts_raise_few_false_alarms(sizes: tuple[int, ...], never: int) -> None:
    values = np.asarray([before_treatment(cohorts_of(sizes, never, seed))["p_value"] for seed in range(300)])
    # .07, and three Monte-Carlo errors of 300 samples beyond it.
    assert np.mean(values < 0.05) < 0.07 + 3 * np.sqrt(0.07 * 0.93 / 300)
    assert np.mean(values < 0.001) < 0.02


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_what_a_lone_unit_did_before_its_treatment_is_not_tested(base: str) -> None:
    data = cohorts_of((1, 13, 4, 2, 1), 29, 0)
    lone = np.isin(data.cohort, (6.0, 10.0))
    shifted = replace(data, y=data.y + 5 * np.where(lone, np.random.default_rng(1).standard_normal(data.n), 0.0))
    reported = before_treatment(data, base_period=base)
    assert before_treatment(shifted, base_period=base)["p_value"] == pytest.approx(reported["p_value"], rel=1e-9)
    last = 0 if base == "varying" else 1
    assert reported["leads"] == [lead - last for lead in range(-7, 0)]
    assert reported["left_out"] == [-9 - last, -8 - last]
    assert "too few treated units" in reported["left_out_reason"]


def test_the_bounds_rest_on_the_leads_that_are_tested() -> None:
    data = cohorts_of((1, 13, 4, 2, 1), 29, 0)
    lone = data.cohort == 10.0
    early = np.where(lone & (data.time < 2), 50.0, 0.0)
    entry = next(entry for entry in catalog() if entry.name == "did_callaway_santanna")
    bounds = []
    for y in (data.y, data.y + early):
        plan = Plan(replace(data, y=y), Settings())
        bounds.append(event_study(plan, [run(entry, plan)])["honest"]["first"]["relative_magnitudes"])
    assert bounds[0] == [pytest.approx(row, rel=1e-6) for row in bounds[1]]


def test_cohorts_of_one_unit_alone_have_no_test_and_a_reason() -> None:
    reported = before_treatment(cohorts_of((1, 1, 1, 1, 1), 45, 0))
    assert reported["p_value"] is None
    assert "Too few treated units" in reported["reason"]


def test_a_cohort_in_one_cluster_counts_as_one_unit() -> None:
    data = cohorts_of((6, 6, 6), 40, 0)
    groups = data.unit // 2
    several = replace(data, clusters=(groups,), names={**data.names, "cluster": ("group",)})
    assert estimated_study(Plan(several, Settings())).leads.alone == ()
    # The last cohort, which alone is seen so long before its treatment.
    one = replace(several, clusters=(np.where(data.cohort == 8.0, groups.max() + 1, groups),))
    assert estimated_study(Plan(one, Settings())).leads.alone == (-7,)


def test_the_errors_that_are_reported_stay_those_of_other_programs() -> None:
    data = cohorts_of((3,), 47, 0)
    study = estimated_study(Plan(data, Settings(se="HC0")))
    y = data.y.reshape(50, 11)
    change = y[:, 5] - y[:, 4]
    at = study.events.index(-1)
    assert study.leads.estimates[-1] == pytest.approx(study.estimates[at], rel=1e-10)
    for ddof, variance in ((1, study.leads.covariance[-1, -1]), (0, study.covariance[at, at])):
        expected = sum(change[arm].var(ddof=ddof) / len(change[arm]) for arm in (slice(3), slice(3, None)))
        assert variance == pytest.approx(expected, rel=1e-10)


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
    assert "No group-time effects" in judged(trial()).diagnostics["event_study"]["reason"]


def test_no_effect_before_treatment_leaves_the_gate_open_with_a_reason() -> None:
    data = drifting(0.0)
    early = replace(data, treatment=((data.unit < 60) & (data.time >= 1)).astype(float))
    plan = Plan(early, Settings())
    estimates = [run(entry, plan) for entry in catalog() if entry.name == "did_callaway_santanna"]
    reported = event_study(plan, estimates)
    assert "before treatment" in reported["pre_trends"]["reason"]
    assert "reason" in reported["honest"]
    gate = gates({"event_study": reported}, estimates, Primary(name="did_callaway_santanna", rule="."))["pre_trends"]
    assert gate.status == "not_applicable"


def test_honest_intervals_widen_with_the_departure_and_begin_at_the_plain_one() -> None:
    found = seen(drifting(0.0))
    first = next(row for row in found.diagnostics["event_study"]["events"] if row["event"] == 0)
    reported = found.diagnostics["event_study"]["honest"]["first"]
    rows = reported["relative_magnitudes"]
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
